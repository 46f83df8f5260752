"""What a reading of a text holds: the things it names, and all else that was understood or missed."""

from dataclasses import dataclass, field

from gouache.scene import Background
from gouache.tagging import Word

IN_THE_SKY = {"night sky": "crescent moon", "sunset sky": "sun"}
"""What says the hour where the ground is another place out of doors."""

OUTDOORS = (
    *("meadow", "hills", "mountains", "sea", "beach", "desert", "forest", "street"),
    *("city skyline", "snowy field"),
)


@dataclass(slots=True)
class Mention:
    """A thing the text names. `concept` is None until a word unknown to the bank is matched.

    `by` says how it was found: "name", "topic" or "likeness". `companions` are further concepts of
    the same topic. A `setting` is where or when it happens, an `aside` what a person merely likes, and
    what `describes` belongs to the next mention ("a wedding photographer"). `position` is the relation
    to another thing that its place in the picture makes ("on the left").
    """

    said: str
    concept: str | None
    by: str = "name"
    colour: str | None = None
    count: int = 1
    many: bool = False
    weight: float = 1.0
    sentence: int = 0
    companions: tuple[str, ...] = ()
    setting: bool = False
    aside: bool = False
    describes: bool = False
    position: str | None = None


@dataclass(slots=True)
class Reading:
    """Everything understood, before any choice of layout.

    `links` are (relation, first, second) with indices into `mentions`. `sky` is the concept that stands
    for an `hour` of the day where the ground is another place. `missed` are words that no
    part of the picture stands for.
    """

    intent: str | None = None
    style: str | None = None
    medium: str | None = None
    mentions: list[Mention] = field(default_factory=list)
    links: list[tuple[str, int, int]] = field(default_factory=list)
    background: Background | None = None
    sky: str | None = None
    hour: str = ""
    palette: list[str] = field(default_factory=list)
    badge: str | None = None
    badge_colour: str | None = None
    gender: str | None = None
    traits: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    is_long: bool = False

    def see(self, word: Word) -> None:
        """Take a place for the ground; with another one, an hour of the day for what is in the sky."""
        place = word.meanings["places"]
        before = self.background
        if before is None:
            self.background = Background(place, ())
        elif place in IN_THE_SKY and before.kind in OUTDOORS and not self.sky:
            self.sky, self.hour = IN_THE_SKY[place], word.text
        elif before.kind in IN_THE_SKY and place in OUTDOORS and not self.sky:
            self.sky, self.hour = IN_THE_SKY[before.kind], before.kind
            self.background = Background(place, ())
        else:
            self.miss(word.text)

    def miss(self, text: str) -> None:
        """Note a word that is not drawn, once."""
        if text and text not in self.missed:
            self.missed.append(text)
