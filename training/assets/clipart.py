"""Names Open Clip Art drawings by title, file name and keywords.

Titles are noisy (Italian, "various clipart"), so a name must be a noun that WordNet knows, of a kind
that fits the folder; a single word must also be an everyday noun or an animal, plant or food that
the keywords confirm.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.assets.drawing import Drawing
from training.assets.icons import ALWAYS_FINE, NOUN_CATEGORIES, UNSAFE, IconNamer
from training.assets.sources import Source
from training.assets.wordnet import Sense
from training.assets.words import TABLES, word_set

FOLDER = Path("usr/share/openclipart/svg")
MAX_BYTES = 450_000
FILLER = word_set("clipart_filler")
VAGUE = word_set("clipart_vague_nouns")
ADJECTIVES = word_set("adjectives")
SENSES = {folder: frozenset(kinds) for folder, kinds in TABLES["clipart_senses"].items()}
FOLDERS_LEFT_OUT = tuple(TABLES["clipart_folders_left_out"])
NAMES_LEFT_OUT = re.compile("domo_kun|gameboy|rubik|hummer|simpson|bullet_hole|dead|superman")
ITALIAN = re.compile("architett|archi_|_archi|francesco|simbolo|uccello")
NO_TITLE = re.compile("various clipart|clipart by|drawn with|gramastar")
SIGNATURES = re.compile(
    r"(_ganson|_\d+|_bw|_b_and_w|\.svg|_jarno|_mo|_petri|_lumme|_ralf|_ste|_nicu|_jon|_phil.*|_01|_02)+$"
)
BLACK_AND_WHITE = re.compile("contour|outline|silhouet|_bw|b_and_w|bianco")
BLACK_AND_WHITE_STYLES = ("black and white clip art", "line drawing")


@dataclass(frozen=True)
class ClipArt:
    """What an Open Clip Art file says about itself."""

    path: Path
    folder: str
    title: str
    keywords: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[str] | None:
        """The kinds of noun that fit the folder, None for any."""
        return SENSES.get(self.folder.split("/")[0])


def text_of(markup: str) -> str:
    """Return the text of a piece of XML."""
    return html.unescape(re.sub("<[^>]+>", "", markup)).strip()


def read_clipart(path: Path, folder: str) -> ClipArt | None:
    """Return what a file says about itself, None if it holds a photo or is under the GPL."""
    text = path.read_text("utf-8", errors="replace")
    if "<image" in text or "creativecommons.org/licenses/GPL" in text:
        return None
    title = re.search("<dc:title>(.*?)</dc:title>", text, re.DOTALL)
    items = re.findall("<rdf:li[^>]*>(.*?)</rdf:li>", text, re.DOTALL)
    keywords = [text_of(item).lower() for item in items]
    return ClipArt(
        path=path,
        folder=folder,
        title=text_of(title[1]) if title else "",
        keywords=tuple(
            word
            for word in keywords
            if word and not word.startswith("hash") and not ITALIAN.search(word)
        ),
    )


def find_clipart(root: Path) -> Iterator[ClipArt]:
    """Yield the files worth naming."""
    for path in sorted(root.rglob("*.svg")):
        folder = path.parent.relative_to(root).as_posix()
        left_out = folder.startswith(FOLDERS_LEFT_OUT) or NAMES_LEFT_OUT.search(path.name)
        if left_out or path.is_symlink() or path.stat().st_size > MAX_BYTES:
            continue
        art = read_clipart(path, folder)
        if art:
            yield art


def phrases_of(art: ClipArt) -> tuple[str, str]:
    """Return title and file name as plain words; empty when they are Italian or say nothing."""
    title, stem = art.title, art.path.stem
    if ITALIAN.search(art.path.name) or ITALIAN.search(title.lower()):
        return "", ""
    if NO_TITLE.search(title.lower()) and " - " not in title:
        title = ""
    title = re.sub(r"\(.*?\)|[_#\d]+|\.svg", " ", title.split(" - ")[-1])
    stem = re.sub(r"[_\-\d]+", " ", SIGNATURES.sub("", stem))
    return re.sub(r"\s+", " ", title).strip().lower(), stem.lower()


class ClipArtNamer:
    """Names clip art with the words of an IconNamer."""

    def __init__(self, namer: IconNamer):
        """Use the namer's WordNet and its everyday nouns."""
        self.wordnet = namer.wordnet
        self.everyday = namer.everyday

    def sense(self, word: str, art: ClipArt) -> Sense | None:
        """Return the first sense of a word that fits the folder."""
        lemma = self.wordnet.lemma(word)
        if not lemma or len(word) < 3 or lemma in VAGUE:
            return None
        senses = self.wordnet.senses(lemma)
        return next((s for s in senses if art.kinds is None or s.kind in art.kinds), None)

    def is_sure(self, word: str, sense: Sense, art: ClipArt) -> bool:
        """Tell whether a noun is a safe name for the picture."""
        lemma = self.wordnet.lemma(word)
        if " " in word or lemma in self.everyday:
            return True
        return sense.kind in ALWAYS_FINE and (lemma in art.keywords or word in art.keywords)

    def by_phrase(self, phrase: str, art: ClipArt) -> tuple[str, str, Sense] | None:
        """Return name, noun and sense from a phrase: the longest noun nearest its end."""
        tokens = [token for token in re.findall("[a-z']+", phrase) if token not in FILLER]
        for length in (3, 2, 1):
            for start in range(len(tokens) - length, -1, -1):
                noun = " ".join(tokens[start : start + length])
                sense = self.sense(noun, art)
                if sense and self.is_sure(noun, sense, art):
                    before = tokens[max(0, start - 1) : start]
                    name = f"{before[0]} {noun}" if ADJECTIVES & set(before) else noun
                    return name, noun, sense
        return None

    def by_keywords(self, art: ClipArt) -> tuple[str, str, Sense] | None:
        """Return name, noun and sense from the most specific everyday keyword."""
        best, best_depth = None, -1
        for word in (*art.keywords, art.folder.split("/")[-1].rstrip("s")):
            if word in FILLER or word in UNSAFE or word in VAGUE:
                continue
            lemma = self.wordnet.lemma(word)
            senses = self.wordnet.senses(lemma) if lemma in self.everyday else []
            sense = next((s for s in senses if art.kinds is None or s.kind in art.kinds), None)
            if sense and self.wordnet.depth(sense.synset) > best_depth:
                best, best_depth = (word, word, sense), self.wordnet.depth(sense.synset)
        return best

    def name(self, art: ClipArt) -> tuple[str, str, Sense] | None:
        """Return name, noun and sense of a picture, None if it is unsafe or nothing fits."""
        title, stem = phrases_of(art)
        if UNSAFE & set(re.findall("[a-z]+", f"{art.title.lower()} {stem}")):
            return None
        return self.by_phrase(title, art) or self.by_phrase(stem, art) or self.by_keywords(art)


def collect_clipart(files: Path, source: Source, icon_namer: IconNamer) -> list[Drawing]:
    """Return the clip art that could be named."""
    root = files / FOLDER
    namer = ClipArtNamer(icon_namer)
    drawings = []
    for art in find_clipart(root):
        named = namer.name(art)
        if named is None:
            continue
        name, noun, sense = named
        wordnet = namer.wordnet
        others = [noun, wordnet.words[sense.synset][0].lower()]
        is_line_art = BLACK_AND_WHITE.search(art.path.name + art.title.lower())
        drawings.append(
            Drawing(
                id=f"{source.key}:{art.path.relative_to(root).with_suffix('').as_posix()}",
                source=source,
                name=name,
                aliases=[other for other in dict.fromkeys(others) if other != name],
                nouns=[lemma] if (lemma := wordnet.lemma(noun)) else [],
                category=NOUN_CATEGORIES.get(sense.kind, "object"),
                kind="object",
                styles=BLACK_AND_WHITE_STYLES if is_line_art else source.styles,
                keywords=[word for word in art.keywords if word not in FILLER][:6],
                file=art.path,
            )
        )
    return drawings
