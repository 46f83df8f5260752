"""Where the drawings come from: packages, pinned versions, licences, credits.

The table itself is sources.toml; versions of npm packages come from package-lock.json, so that what
is written down is what gets installed. `test_no_source_is_share_alike` guards the licences.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CLEAN_LICENCES = {
    "MIT": "MIT",
    "ISC": "ISC",
    "Apache-2.0": "Apache-2.0",
    "CC-BY-3.0": "CC BY 3.0",
    "CC-BY-4.0": "CC BY 4.0",
    "CC0-1.0": "CC0 1.0",
    "CC0/PD": "public domain",
}
"""The licences a source may have, and how people write them. `CC0/PD`: dedicated to the public."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One set of drawings in one package."""

    key: str
    family: str
    package: str
    title: str
    author: str
    url: str
    licence: str
    styles: tuple[str, ...]
    """Phrases that only drawings like these get in their captions."""
    mono: bool = False
    """One colour on nothing: the drawing may be tinted freely."""
    plain_names: bool = False
    """File names read like English: "standing horse", not "horse-standing"."""
    count: int = 0
    """How many to draw, for sources that draw avatars by options."""

    @property
    def version(self) -> str:
        """The pinned version of the package."""
        return package_versions()[self.package]


def load_sources() -> list[Source]:
    """Return the sources in the order in which they are built."""
    rows = tomllib.loads((HERE / "sources.toml").read_text("utf-8"))["source"]
    return [Source(**{**row, "styles": tuple(row["styles"])}) for row in rows]


def left_out() -> list[dict[str, str]]:
    """Return the sets that were looked at and not used: name, licence, reason."""
    return list(tomllib.loads((HERE / "sources.toml").read_text("utf-8"))["left_out"])


def debian_packages() -> dict[str, str]:
    """Return name and pinned version of each Debian package."""
    return dict(tomllib.loads((HERE / "sources.toml").read_text("utf-8"))["debian"])


def package_versions() -> dict[str, str]:
    """Return the version of every package, npm and Debian, that the build installs."""
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    npm = {path.removeprefix("node_modules/"): row.get("version", "") for path, row in lock.items()}
    return npm | debian_packages()


def licence_rows(counts: dict[str, int]) -> list[dict[str, str | int]]:
    """Return the licence manifest: a row for each source that `counts` has sprites of."""
    return [
        {
            "source": source.key,
            "title": source.title,
            "author": source.author,
            "url": source.url,
            "package": source.package,
            "version": source.version,
            "licence": source.licence,
            "count": counts[source.key],
        }
        for source in load_sources()
        if counts.get(source.key)
    ]


def attribution(counts: dict[str, int]) -> str:
    """Return the notice that has to travel with the drawings and with what is made of them."""
    lines = [
        "# Sources of the drawings",
        "",
        "The drawings are used under the licences below; CC BY asks for this notice to be kept.",
        "All were trimmed to their outline and measured, and may be resized and recoloured.",
        "",
    ]
    lines += [
        f"- {row['title']} by {row['author']} ({row['url']}), "
        f"{CLEAN_LICENCES[str(row['licence'])]}, from {row['package']} {row['version']}"
        for row in licence_rows(counts)
    ]
    return "\n".join(lines) + "\n"


def licence_table() -> str:
    """Return the Markdown table of all sources that README.md shows."""
    rows = ["| source | package | version | licence | author |", "|---|---|---|---|---|"]
    rows += [
        f"| {s.title} | `{s.package}` | {s.version} | {s.licence} | {s.author} |"
        for s in load_sources()
    ]
    rows += ["", "| left out | licence | why |", "|---|---|---|"]
    rows += [f"| {row['name']} | {row['licence']} | {row['reason']} |" for row in left_out()]
    return "\n".join(rows)
