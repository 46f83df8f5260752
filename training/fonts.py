"""Subsets the fonts the package ships from Inter's files: `python -m training.fonts FOLDER`.

Needs fonttools. FOLDER holds the files of FACES, as Debian's package fonts-inter (4.0) has them.
Kept: Latin, Latin Extended, Greek, Cyrillic, punctuation and kerning.
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FACES = ("Inter-Regular", "Inter-Italic", "Inter-Bold", "Inter-BoldItalic")
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x304), (0x370, 0x3FF), (0x400, 0x52F)]
RANGES += [(0x1E00, 0x1EFF), (0x2010, 0x2027), (0x2030, 0x203A), (0x20A0, 0x20BF), (0x2116, 0x2122)]


def make(source, target):
    """Write one small font."""
    font = TTFont(source, recalcTimestamp=False)
    options = Options(layout_features=["kern", "liga", "ccmp", "mark"], hinting=False)
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    subsetter.subset(font)
    font.save(target)
    print(target.name, target.stat().st_size, "bytes,", len(font.getBestCmap()), "characters")


if __name__ == "__main__":
    folder = Path(__file__).parents[1] / "src" / "gouache" / "fonts"
    for face in FACES:
        make(Path(sys.argv[1]) / f"{face}.otf", folder / f"{face}.otf")
