"""Builds the sprite library: `python -m training.assets --out data/sprites`."""

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from training.assets.captions import make_record
from training.assets.collect import collect, load_backgrounds
from training.assets.drawing import Drawing, with_namespaces
from training.assets.measure import measure_drawing
from training.assets.pack import PartWriter, read_marker, write_library
from training.assets.packages import AssetsError
from training.assets.sources import HERE, Source, load_sources

BATCH = 16
REPORT_EVERY = 200


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.assets", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the library")
    parser.add_argument(
        "--work", type=Path, default=Path("data/packages"), help="folder for the packages"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="SOURCE", help="only these sources"
    )
    parser.add_argument("--skip", nargs="+", default=[], metavar="SOURCE", help="not these sources")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N sprites of each source")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(arguments)
    if options.jobs < 1 or (options.limit is not None and options.limit < 1):
        parser.error("--limit and --jobs must be at least 1")
    return options


def choose_sources(only: list[str], skip: list[str]) -> list[Source]:
    """Return the wanted sources.

    Raises:
        AssetsError: a name is not in the table.
    """
    sources = load_sources()
    keys = [source.key for source in sources]
    unknown = sorted({*only, *skip} - set(keys))
    if unknown:
        raise AssetsError(
            f"No source is called {', '.join(unknown)}. There are: {', '.join(keys)}."
        )
    return [s for s in sources if (not only or s.key in only) and s.key not in skip]


def build_state(chosen: list[Source], limit: int | None) -> str:
    """Return a short name of everything a library depends on: code, tables, options."""
    digest = hashlib.sha256(json.dumps([[s.key for s in chosen], limit]).encode())
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".py", ".toml", ".mjs", ".json"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def sample(drawings: list[Drawing], limit: int | None) -> list[Drawing]:
    """Return at most `limit` drawings, spread evenly."""
    if not limit or len(drawings) <= limit:
        return drawings
    return [drawings[i * len(drawings) // limit] for i in range(limit)]


@contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes that leaves Ctrl-C to this one and stops at once on an error."""
    pool = ProcessPoolExecutor(
        jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def build_part(drawings: list[Drawing], part: PartWriter, pool: ProcessPoolExecutor) -> None:
    """Measure the drawings of one source and write its part."""
    started = time.monotonic()
    for drawing in drawings:
        drawing.svg = with_namespaces(drawing.svg) if drawing.svg is not None else None
    results = pool.map(
        measure_drawing, [d.svg for d in drawings], [d.file for d in drawings], chunksize=BATCH
    )
    name = part.folder.name.split(".")[0]
    with part:
        for done, (drawing, result) in enumerate(zip(drawings, results, strict=True), 1):
            measures, raster, reason = result
            if measures is None:
                part.dropped[f"{drawing.source.key}: {reason}"] += 1
                continue
            row = make_record(drawing, measures, len(raster or b""))
            part.add(row, drawing.svg, raster)
            if done % REPORT_EVERY == 0 and sys.stdout.isatty():
                print(f"\r{name}: {done} of {len(drawings)}", end="", flush=True)
    start = "\r" if sys.stdout.isatty() else ""
    say(f"{start}{name}: {len(part.rows)} sprites in {time.monotonic() - started:.0f} s")


def say(line: str) -> None:
    """Print one line of progress at once."""
    print(line, flush=True)


def build(options: argparse.Namespace) -> None:
    """Build the library that the options ask for, going on where an earlier run stopped.

    Raises:
        AssetsError: something is missing that the person can install.
    """
    chosen = choose_sources(options.only, options.skip)
    state = build_state(chosen, options.limit)
    marker = read_marker(options.out)
    if marker and marker["state"] == state:
        say(f"{options.out} is already built: {marker['sprites']} sprites.")
        return
    say("installing the packages and naming the drawings")
    by_source = collect(chosen, options.work)
    parts = []
    with worker_pool(options.jobs) as pool:
        for source in chosen:
            drawings = sample(by_source[source.key], options.limit)
            part = PartWriter(options.out, source.key, state)
            if part.is_finished:
                say(f"{source.key}: already there")
            elif drawings:
                build_part(drawings, part, pool)
            if part.is_finished:
                parts.append(part.folder)
    say("writing the library")
    has_patterns = any(source.family == "backgrounds" for source in chosen)
    backgrounds = load_backgrounds(options.work) if has_patterns else []
    marker = write_library(options.out, parts, backgrounds, state=state)
    say(f"{options.out}: {marker['sprites']} sprites, {marker['backgrounds']} backgrounds")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        build(parse_arguments(arguments))
    except AssetsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
