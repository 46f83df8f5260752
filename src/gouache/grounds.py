"""What frames the things of a text: what it is for, and its background ("on light blue stripes").

Both are read before the things, and their words marked used, so that a ground's colour is not
taken for the colour of a thing. Places ("in a forest") are left to `reading.py`.
"""

from gouache.lexicon import load_lexicon
from gouache.scene import TEXTURES, Background
from gouache.tagging import Word


def find_intent(words: list[Word]) -> str | None:
    """Return what the picture is for, from the first word that says so before any relation.

    In "a cat next to a poster" the poster is a thing. "picture" is the weakest and says nothing.
    """
    sentence, related = 0, False
    named, card = False, None
    for word in words[:60]:
        if word.sentence != sentence or "breaks" in word:
            sentence, related, named = word.sentence, False, False
        related |= (
            named and "relations" in word and word.meanings["relations"] not in ("with", "having")
        )
        named |= "concepts" in word and "intents" not in word
        if "intents" in word and not related:
            word.used = True
            if word.text in ("card", "cards"):  # of which kind is said by another word, perhaps
                card = word.meanings["intents"]
            elif word.meanings["intents"] != "picture":
                return word.meanings["intents"]
    return card


def leave_context(words: list[Word]) -> None:
    """Mark as used what only says in which document a picture is printed, if it shows something else.

    In "picture for the travel guide: a tower" nothing of the guide is to be drawn.
    """
    context: set[int] = set()
    for at, word in enumerate(words):
        if word.text in (":", "-", "–", "—"):
            start = _sentence_start(words, at)
            if any(_is_document(w) or "intents" in w for w in words[start:at]):
                context.update(range(start, at))
        elif _is_document(word):
            context.update(range(_phrase_start(words, at), at + 1))
    shown = [
        w for at, w in enumerate(words) if at not in context and "concepts" in w and not w.used
    ]
    if any("ambiguous" not in word and "intents" not in word for word in shown):
        for at in context:
            words[at].used |= "colours" not in words[at] and "styles" not in words[at]


def find_mood(words: list[Word]) -> Background | None:
    """Return the ground that suits the season or the feast a letter opens with or comes back to."""
    weights: dict[str, int] = {}
    for word in words:
        if "moods" in word:
            mood = word.meanings["moods"]
            weights[mood] = weights.get(mood, 0) + (2 if word.sentence < 2 else 1)
    mood = max(weights, key=lambda m: weights[m], default="")
    if weights.get(mood, 0) < 2:
        return None
    return _background([mood], [], []) if mood in TEXTURES else Background(mood, ())


def _is_document(word: Word) -> bool:
    return word.text.split(" ")[-1] in load_lexicon().words["documents"]


def _sentence_start(words: list[Word], at: int) -> int:
    """Return where the sentence of word `at` begins."""
    while at and words[at - 1].text not in (".", "!", "?", "\n", ";"):
        at -= 1
    return at


def _phrase_start(words: list[Word], at: int) -> int:
    """Return the preposition that leads to word `at`, or the break before it, or `at` itself."""
    for start in range(at - 1, max(-1, at - 8), -1):
        if "breaks" in words[start]:
            return start + 1
        if words[start].text in ("for", "in", "of", "on", "from", "to"):
            return start
    return 0 if at < 5 else at


def find_background(words: list[Word]) -> tuple[Background | None, list[str]]:
    """Return the first background that is spelt out, and texture words that only describe a thing.

    The words it is made of are marked used.
    """
    described: list[str] = []
    for at, word in enumerate(words):
        found = None
        if "grounds" in word and not word.used:
            found = _read_ground(words, at)
        elif "textures" in word and not word.used:
            if _describes(words, at):
                described.append(word.text)
                word.used = True
            else:
                found = _read_texture(words, at)
        if found:
            return found, described
    return None, described


def _read_ground(words: list[Word], at: int) -> Background | None:
    """Read "on a light blue background", "background with yellow stripes", "beach background"."""
    before, start = _gather(words, at, -1)
    after, end = _gather(words, at, +1)
    textures = [w.meanings["textures"] for w in (*before, *after) if "textures" in w]
    colours = [w.meanings["colours"] for w in before if "colours" in w]
    places = [w.meanings["places"] for w in (*before, *after) if "places" in w]
    if not colours and after and "textures" in after[-1] and "colours" in after[0]:
        colours = ["cream" if after[0].meanings["colours"] == "white" else "white"]
    if after and (not before or "textures" in after[-1] or _is_opened(words, at + 1)):
        colours += [w.meanings["colours"] for w in after if "colours" in w]
    elif not textures and not places:
        end = at
    words[at].used = True
    if not (textures or colours or places):
        return None
    for word in words[start : end + 1]:
        word.used = True
    return _background(textures, colours, places)


def _read_texture(words: list[Word], at: int) -> Background:
    """Read "gradient from teal to navy", "with confetti"."""
    before, start = _gather(words, at, -1)
    after, end = _gather(words, at, +1)
    texture = words[at].meanings["textures"]
    colours = [w.meanings["colours"] for w in before if "colours" in w]
    if texture == "gradient" or _is_opened(words, at + 1):
        colours += [w.meanings["colours"] for w in after if "colours" in w]
    else:
        end = at
    for word in words[start : end + 1]:
        word.used = True
    return _background([texture], colours, [])


def _describes(words: list[Word], at: int) -> bool:
    """Say whether a texture belongs to the thing after it: a striped cat."""
    following = next((w for w in words[at + 1 : at + 3] if "ignored" not in w), None)
    if following is None or words[at].meanings["textures"] == "gradient":
        return False
    return "concepts" in following or not following.meanings


def _is_opened(words: list[Word], at: int) -> bool:
    """Say whether word `at` says that colours of what came before it follow."""
    return at < len(words) and words[at].text in ("of", "in", "from", "is", ":")


def _gather(words: list[Word], at: int, step: int) -> tuple[list[Word], int]:
    """Return the colours, textures and places beside word `at`, in text order, and how far they go.

    Going on, it stops at a noun, so that "background with a red cat" keeps the cat's colour.
    """
    found: list[tuple[int, Word]] = []
    reach = i = at
    while 0 <= (i := i + step) < len(words) and abs(i - at) <= 8:
        word = words[i]
        if {"colours", "textures", "places"} & word.meanings.keys() and not _is_noun(word):
            found.append((i, word))
            reach = i
        elif word.text in (":", "to") or "plain" in word or "styles" in word:
            continue
        elif "relations" in word:
            if word.text not in ("and", "&", "with") and (found or word.text != "in"):
                break
        elif "ignored" not in word:
            break
    if step > 0 and found and _leads_to_noun(words, found[-1][0] + 1):
        while found and "colours" in found[-1][1]:
            found.pop()
        reach = found[-1][0] if found else at
    return [word for _, word in sorted(found, key=lambda pair: pair[0])], reach


def _is_noun(word: Word) -> bool:
    """Say whether a place or colour word is first of all a thing in the bank ("mountain")."""
    return "concepts" in word and not {"places", "colours", "textures"} & word.meanings.keys()


def _leads_to_noun(words: list[Word], at: int) -> bool:
    for word in words[at : at + 3]:
        if "breaks" in word or "relations" in word:
            return False
        if "concepts" in word or "topics" in word or not word.meanings:
            return True
    return False


def _background(textures: list[str], colours: list[str], places: list[str]) -> Background:
    """Return the background that textures, colours and places make together."""
    if not textures:
        if places:
            return Background(places[0], ())
        if len(colours) == 1 or colours[0] == colours[1]:
            return Background("plain", (colours[0],))
        return Background("gradient", (colours[0], colours[1]))
    first, second = ([*colours, "", ""])[:2]
    if not first:
        first, second = {
            "gradient": ("light blue", "lavender"),
            "confetti": ("cream", "pink"),
            "rays": ("yellow", "orange"),
            "waves": ("light blue", "blue"),
        }.get(textures[0], ("white", "light blue"))
    pale = first in ("white", "cream", "light grey", "beige")
    return Background(textures[0], (first, second or ("light blue" if pale else "white")))
