"""Letters and e-mails as prompts: what they are about, without what every letter has.

Greeting, closing, signature, addresses, links and the small print at the end say nothing of the
picture. Nothing is understood here; `salience.py` weighs what is left.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_WORDS = 18
"""A text of fewer words is a prompt, whatever it begins with."""

MOST_LINES = 1000
_LEAD_WORDS = 45
_MARK = "--"
_FOOT = 40  # lines at the end among which small print is looked for
_HEADER = re.compile(r"(subject|re|betreff|from|to|cc|bcc|date|sent|reply-to)\s*:\s*(.*)", re.I)
_SUBJECT = re.compile(r"(?:subject|re|betreff)\s*:", re.I)
_GREETING = re.compile(
    r"(?:dear|hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings|to whom it may concern|"
    r"liebe[rs]?|sehr geehrte[rs]?|hallo|guten tag|bonjour|ch[eè]re?s?|hola|querid[oa]s?|estimad[oa]s?|"
    r"ciao|car[oaie]|gentil[ei])\b"
    r"[^.!?\n]{0,60}",
    re.I,
)
_CLOSING = re.compile(
    r"(?:with |many |all )?(?:(?:best|kind|kindest|warm|warmest|green|proud|sunny|sincere|friendly|"
    r"sporty|festive|musical|heartfelt|our|my|the) ){0,3}(?:regards|wishes|greetings|sincerely|yours"
    r"(?: \w+)?|cheers|thanks(?: .{0,30})?|thank you(?: .{0,40})?|see you .{0,40}|love|hugs|bye|"
    r"(?:viele|liebe|herzliche|beste|mit freundlichen) gr[uü](?:ß|ss)en?|cordialement|saludos|"
    r"un saludo|cordiali saluti|best|warmly|bon voyage|stay (?:safe|healthy|tuned|curious)|respectfully|happy \w+ing)\b[ ,.!-]*"
    r"(?:from .{1,40})?",
    re.I,
)
_SMALL_PRINT = re.compile(
    r"unsubscrib|abbestell|abmelden|d[eé]sabonn|darse de baja|disiscri|view (?:this|it|the) .{0,20}(?:in|online)|browser|you(?:'re| are)? "
    r"(?:get|got|receiv\w+|are on this)|do(?: not|n't) (?:reply|want)|automatic(?:ally)? (?:message|"
    r"generated)|manage (?:your )?(?:notifications|preferences|subscription)|preferences|imprint|"
    r"privacy policy|data protection|all rights reserved|©|copyright|registered (?:charity|in|office)|"
    r"terms (?:and|apply)|mailing list|no longer want|sign off here|removed from|reply with stop|"
    r"subject to|prices? (?:per|incl)|confidential|forward(?:ed)? (?:this|message)|click here|"
    r"consumption figures|sent from my|was sent (?:to|through|by|with)",
    re.I,
)
_LINK = re.compile(
    r"(?:https?://|www\.)\S+|\S+@\S+\.\w+|\b\w[\w-]*\.(?:com|org|net|example|de|co\.uk)\b\S*"
)
_PHONE = re.compile(r"\+?\(?\d[\d\s()/.-]{5,}\d")
_TAG = re.compile(
    r"<(style|script|head)\b[^>]{0,300}>.{0,20000}?</\1>|<!--.{0,5000}?-->", re.I | re.S
)
_BLOCK_END = re.compile(r"</?(?:p|div|br|tr|td|h\d|li|ul|table|body)\b[^<>]{0,500}>", re.I)
_ANY_TAG = re.compile(r"</?[a-z][^<>]{0,500}>", re.I)
_BULLET = re.compile(r"^[\s>*•·|–-]+|^\d{1,2}[.)]\s+|[\s|]+$")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter taken apart: the request that leads it, if any, its title, paragraphs and greeting."""

    lead: str
    title: str
    paragraphs: tuple[str, ...]
    greeting: str = ""

    @property
    def text(self) -> str:
        """The title and the paragraphs, each a sentence of its own; last whom they are for."""
        return "\n".join(part for part in (self.title, *self.paragraphs, self.greeting) if part)


def open_letter(text: str) -> Letter | None:
    """Return the letter that a text is or holds, or None where it is none."""
    if len(text.split(None, LEAST_WORDS)) <= LEAST_WORDS:
        return None
    lines = [_plain(line) for line in _without_tags(text).split("\n")]
    lines = _broken(lines[0]) + lines[1:MOST_LINES]
    start = next((i for i, line in enumerate(lines) if _opens(line)), None)
    greeted = next((i for i, line in enumerate(lines) if _is_greeting(line)), None)
    small = [_is_small_print(line, at, len(lines)) for at, line in enumerate(lines)]
    end = _end(lines, small, 0 if greeted is None else greeted + 1)
    signs = (greeted is not None) + (end < len(lines)) + any(small)
    signs += any(_SUBJECT.match(line) for line in lines[:6])
    is_short = len(text.split(None, 45)) <= 45
    if signs < 2 and (greeted is None or (is_short and _asks(text))):
        return None
    start = start or 0
    lead = " ".join(line for line in lines[:start] if line)
    if len(lead.split()) > _LEAD_WORDS or _SMALL_PRINT.search(lead) or not _asks(lead):
        lead, start = "", 0
    kept = [
        line
        for line, is_small in zip(lines[start:end], small[start:end], strict=True)
        if not is_small
    ]
    return _taken_apart(lead, kept + _postscript(lines[end:]))


def _is_small_print(line: str, at: int, many: int) -> bool:
    """Say whether a line at the top or near the end is what the law or the mailer wants there."""
    near = at < 6 or at >= many - _FOOT
    return near and len(line) < 600 and bool(_SMALL_PRINT.search(line))


def _plain(line: str) -> str:
    """Return a line without its bullet or number; the mark above a signature stays."""
    return _MARK if line.strip() in ("--", "---", "—") else _BULLET.sub("", line).strip()


def _taken_apart(lead: str, lines: list[str]) -> Letter:
    titles: list[str] = []
    paragraphs: list[str] = []
    greeting, is_open = "", False
    for line in lines:
        header = _HEADER.match(line)
        if header and not is_open:
            if _SUBJECT.match(line):
                titles.insert(
                    0, re.sub(r"^(?:(?:re|fwd?|aw|wg):\s*)+", "", header.group(2), flags=re.I)
                )
        elif _is_greeting(line):
            is_open, greeting = True, line
        elif line:
            bare = _PHONE.sub(" ", _LINK.sub(" ", line)).strip()
            is_open |= len(bare) > 60
            (paragraphs if is_open else titles).append(bare)
    title = ". ".join(dict.fromkeys(filter(None, titles)))
    return Letter(lead, title, tuple(filter(None, paragraphs)), greeting)


def _without_tags(text: str) -> str:
    """Return the words of an e-mail in HTML, and other text as it is."""
    if not re.search(r"</(?:p|div|body|html|td|a|h1|h2)>", text[:40_000], re.I):
        return text
    text = _BLOCK_END.sub("\n", _TAG.sub(" ", text))
    return html.unescape(_ANY_TAG.sub(" ", text))


def _broken(line: str) -> list[str]:
    """Part a request from the letter on the same line: 'picture for this e-mail: "Dear all, …'."""
    match = re.match(
        r"([^\n:]{3,200}\b(?:e-?mail|mail|letter|message|text|newsletter)\b[^\n:]{0,60}):\s*(\S.*)",
        line,
    )
    parts = [match.group(1), match.group(2).lstrip("\"'“„«")] if match else [line]
    last = parts[-1]
    greeting = re.match(r"((?:dear|hi|hello|hey)\b[^.!?\n,]{0,40}[,!:])\s+(\S.*)", last, re.I)
    return [*parts[:-1], greeting.group(1), greeting.group(2)] if greeting else parts


def _opens(line: str) -> bool:
    return bool(_HEADER.match(line)) or _is_greeting(line)


def _is_greeting(line: str) -> bool:
    """Say whether a line does no more than greet."""
    return bool(re.fullmatch(_GREETING.pattern + "[,!:.]?", line, re.I)) and len(line.split()) <= 8


def _asks(lead: str) -> bool:
    return bool(lead) and bool(
        re.search(
            r"picture|image|illustration|header|banner|graphic|draw|card|logo|avatar|visual|mail",
            lead,
            re.I,
        )
    )


def _end(lines: list[str], small: Sequence[bool], start: int) -> int:
    """Return where the closing, the signature or the small print begins."""
    for at in range(start, len(lines)):
        line = lines[at]
        if line == _MARK and at > start:
            return at
        if at > start and len(line) <= 80 and re.fullmatch(_CLOSING, line):
            after = range(at + 1, len(lines))
            if sum(len(lines[i]) > 120 and not small[i] for i in after) <= 1:
                return at
    return len(lines)


def _postscript(lines: list[str]) -> list[str]:
    return [line for line in lines if re.match(r"p\.? ?s\.?[ :.]", line, re.I)]
