"""Kills processes under load and counts what came of it: python -m tests.chaos --help"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.processes import house
from tests.chaos.scenarios import SCENARIOS


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--scenario", choices=[*SCENARIOS], default="kills")
    parser.add_argument("--kills", type=int, default=100, help="or how often, of other scenarios")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder that keeps the data and the logs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gouache-chaos-") as made:
        folder = arguments.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        with house(arguments.database, folder) as found:
            run = SCENARIOS[arguments.scenario]
            books = run(found, times=arguments.kills, seed=arguments.seed)
    title = f"{arguments.scenario}, {arguments.database}, seed {arguments.seed}"
    print(f"\n| {title} | |\n|---|---|")
    for name, value in books.counts.items():
        print(f"| {name} | {value} |")
    for sentence in books.wrong[:50]:
        print(f"WRONG: {sentence}", file=sys.stderr)
    print(f"\n{len(books.wrong)} wrong")
    return 1 if books.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
