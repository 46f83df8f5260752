"""Our model on a processor, beside what one would take instead: python benchmarks/embedded.py --help

Each contestant is a process of its own and draws one picture after the other. The others have random
weights of SD-Turbo's size, which do not change the speed, and draw 512 x 512 in one step without
guidance; ours draws 1024 pixels and more. `pip install -e '.[diffusers,test]' packaging
stable-diffusion-cpp-python` brings them all (the last is built with a C++ compiler); one that is not
installed is left out. The weights take 5 GB of disk and are made in minutes: --models keeps them.
"""

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib import metadata
from operator import truediv
from pathlib import Path

BEGUN = time.perf_counter()
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "benchmarks")]

from contestants import OPENED_BY, OURS, THREADS, make_models  # noqa: E402
from durations import durations  # noqa: E402

OTHERS = {
    "diffusers, fp32": ("diffusers", "transformers", "torch", "accelerate"),
    "OpenVINO, fp32": ("openvino", "numpy", "tokenizers", "pillow"),
    "stable-diffusion.cpp, f16": ("stable-diffusion-cpp-python",),
    "stable-diffusion.cpp, q8_0": ("stable-diffusion-cpp-python",),
}
"""What each of the others needs to be installed."""

WAYS = [*OURS, *OTHERS]

PROMPTS = (
    "a red fox beside a green tree in the snow",
    "three golden stars on a dark blue ground",
    "a lighthouse on a cliff at sunset",
    "a robot with a cup of coffee",
    "a birthday cake with confetti",
)
BARS = {"standard": 1.0, "hd": 5.0, "times": 15.0, "of peak": 0.35}
"""Seconds of a warm 1024 x 1024, how many times longer diffusers takes, and the denoiser's share."""

COLUMNS = ("way", "picture", "first, s", "next, s", "longest, s", "processor, s", "of standard")
COLUMNS += ("memory, MB", "packages, MB", "weights, MB", "file, kB")
"""*next* is the median of warm pictures, *processor* of the time that all threads worked for one; it
does not suffer from what else runs on the machine, and the ratio is of it."""

WEIGHTS = ROOT / "src" / "gouache" / "weights"


def one(name, models, count):
    """Measure one thing in this process, and print what it took as JSON."""
    if name == "models":
        found = make_models(models)
    elif name == "limit":
        found = limit(runs=count)
    else:
        found = drawing(name, models, count)
    print(json.dumps(found))


def drawing(name, models, count):
    """Return the seconds of a first and of further pictures, and the MB of memory they took."""
    draw = OPENED_BY[name](name, models)
    pixels = draw(PROMPTS[0], 0)
    found = {"first": time.perf_counter() - BEGUN}
    numbers = iter(range(1, count + 1))

    def another():
        number = next(numbers)
        draw(PROMPTS[number % len(PROMPTS)], number)

    seconds, worked = zip(*durations(another, count), strict=True)
    found["next"], found["longest"] = statistics.median(seconds), max(seconds)
    found["worked"] = statistics.median(worked)
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found | ({"picture": png(pixels)} if name in OURS else {})


def png(pixels):
    """Return the size of a picture's file in kB."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.tell() / 1e3


def limit(runs):
    """Return this machine's peaks and what our graphs reach, which is to be held against them."""
    from operations import fast_types, operations, peaks, speed

    from gouache.diffusion import weights
    from gouache.diffusion.graphs import Graph, Runtime
    from gouache.diffusion.pipeline import size

    model = weights.open_model(WEIGHTS)
    calls = {}
    for shape in ("square", "tall", "wide"):
        for part, given in inputs(*size(shape, model.drawing.side)).items():
            path = WEIGHTS / f"{part}.xml"
            graph, count = Graph(path, runtime=Runtime(THREADS)), operations(sized(path, given))
            speeds = speed(count, lambda g=graph, i=given: g(*i), runs)
            calls[f"{part}, {shape}"] = [count, *speeds]
    best = {name: peaks(name, threads=THREADS, runs=runs) for name in fast_types()}
    return {"peaks": best, "calls": calls}


def inputs(height, width):
    """Return inputs of our denoiser and of our upscaler for a small picture."""
    import numpy as np

    rng = np.random.default_rng(0)
    sizes = {
        "x": (3, height, width),
        "t": (),
        "tokens": (48, 384),
        "token_mask": (48,),
        "guide": (8, height // 2, width // 2),
        "phrases": (10, 388),
        "coverage": (10, height // 8, width // 8),
    }
    given = [rng.random((1, *size), np.float32) for size in sizes.values()]
    return {"denoiser": given, "upscaler": given[:1]}


def sized(path, given):
    """Return a stored graph with the sizes of its inputs fixed."""
    import openvino as ov

    graph = ov.Core().read_model(path)
    graph.reshape({i: list(array.shape) for i, array in enumerate(given)})
    return graph


def installed(requirements):
    """Return the MB of packages and of all that they need, as they lie here; None if one is not here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    left, found = [Requirement(text) for text in requirements], {}
    seen = set()
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        asked = {"", *wanted.extras} - {extra for known, extra in seen if known == name}
        if not asked:
            continue
        seen |= {(name, extra) for extra in asked}
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            return None
        found[name] = sum(size_of(Path(package.locate_file(f))) for f in package.files or ())
        needs = [Requirement(text) for text in package.requires or ()]
        left += [
            need
            for need in needs
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in asked)
        ]
    return sum(found.values()) / 1e6


def size_of(path):
    """Return the bytes of a file, or of all files in a folder; none where there is none."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


def on_disk(name, models):
    """Return the MB of a contestant's packages and of its weights; None if it is not installed."""
    if name in OURS:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        code = size_of(ROOT / "src" / "gouache") - size_of(WEIGHTS)
        return installed(project["dependencies"]) + code / 1e6, size_of(WEIGHTS) / 1e6
    packages = installed(OTHERS[name])
    folder = "openvino" if name.startswith("OpenVINO") else "sd-turbo"
    return packages and (packages, size_of(models / folder) / 1e6)


def alone(*arguments):
    """Run this script in a process of its own, and return what it printed last."""
    command = [sys.executable, __file__, *map(str, arguments)]
    with tempfile.TemporaryDirectory(prefix="gouache-cache-") as cache:
        environment = os.environ | {"GOUACHE_CACHE_DIR": cache}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def row(name, found, disk, plain):
    """Return a contestant's line of the table."""
    size = OURS[name][1] if name in OURS else "512x512"
    picture = f"{found['picture']:.0f}" if "picture" in found else "-"
    cells = [name, size, f"{found['first']:.1f}", f"{found['next']:.2f}", f"{found['longest']:.2f}"]
    cells += [f"{found['worked']:.2f}", f"{found['worked'] / plain:.1f}", f"{found['memory']:,.0f}"]
    cells += [f"{disk[0]:,.0f}", f"{disk[1]:,.0f}", picture]
    return f"| {' | '.join(cells)} |"


def contest(names, models, count):
    """Measure contestants one after the other, print a table, and return what was found."""
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    found = {}
    for name in names:
        disk = on_disk(name, models)
        if disk is None:
            print(f"| {name} | not installed |", flush=True)
            continue
        found[name] = alone("--one", name, "--models", models, "--count", count[name in OURS])
        plain = next(iter(found.values()))["worked"]
        print(row(name, found[name], disk, plain), flush=True)
    return found


def shares(found):
    """Print the peaks and what our graphs reach of them; return the denoiser's least share, both ways."""
    print("\n| peak, Gop/s | matrix product | convolution |\n|---|---|---|")
    best = {}
    for name, peak in found["peaks"].items():
        pairs = [f"{wall / 1e9:.0f} ({worked / 1e9:.0f})" for wall, worked in peak.values()]
        print(f"| {name} | {' | '.join(pairs)} |")
        best[name] = [max(speeds) for speeds in zip(*peak.values(), strict=True)]
    print(f"\n| graph, picture | Gop | Gop/s | {' | '.join(f'of {name}' for name in best)} |")
    print(f"|---|---|---|{'---|' * len(best)}")
    least = [1.0, 1.0]
    for name, (count, *speeds) in found["calls"].items():
        cells = [f"{speeds[0] / 1e9:.0f} ({speeds[1] / 1e9:.0f})"]
        for most in best.values():
            cells.append("{:.0%} ({:.0%})".format(*map(truediv, speeds, most)))
        print(f"| {name} | {count / 1e9:.2f} | {' | '.join(cells)} |")
        if name.startswith("denoiser"):
            least = list(map(min, least, map(truediv, speeds, best["fp32"])))
    return least


def missed(found, share):
    """Return the bars that were missed."""
    standard = found["gouache, standard"]["worked"]
    misses = [
        (f"{quality} takes more than {BARS[quality]:.0f} s")
        for quality in ("standard", "hd")
        if found[f"gouache, {quality}"]["next"] > BARS[quality]
    ]
    theirs = found.get("diffusers, fp32")
    if theirs and theirs["worked"] < BARS["times"] * standard:
        misses.append(f"diffusers takes {theirs['worked'] / standard:.1f} times as long only")
    if share[0] < BARS["of peak"]:
        misses.append(f"the denoiser reaches {share[0]:.0%} of the peak")
    return misses


def main():
    """Measure, print the tables, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=9, help="our warm pictures; the median counts")
    parser.add_argument("--others", type=int, default=1, help="warm pictures of each other way")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--threads", type=int, help="all cores without it")
    parser.add_argument("--models", type=Path, help="a folder to keep the random weights in")
    parser.add_argument("--prepare", action="store_true", help="only make the random weights")
    parser.add_argument("--one", choices=[*WAYS, "limit", "models"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        os.environ["GOUACHE_THREADS"] = str(given.threads)  # for the processes of the contestants
    if given.one:
        one(given.one, given.models, given.count)
        return
    with tempfile.TemporaryDirectory(prefix="gouache-embedded-") as name:
        models = given.models or Path(name)
        if installed(OTHERS["diffusers, fp32"]) is not None:
            alone("--one", "models", "--models", models)
        if not given.prepare:
            compare(given.ways, models, {True: given.count, False: given.others})


def compare(ways, models, count):
    """Measure everything, print it, and fail where a bar is missed."""
    print(
        f"{platform.platform()}, {os.environ.get('GOUACHE_THREADS') or os.cpu_count()} of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    found = contest(ways, models, count)
    share = shares(alone("--one", "limit", "--count", count[True]))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    misses = missed(found, share)
    sys.exit(f"missed a bar: {'; '.join(misses)}" if misses else 0)


if __name__ == "__main__":
    main()
