"""Installs the packages and refuses one whose own licence differs from our table.

Nothing is executed at install time (`--ignore-scripts`) and the Debian package is only unpacked.
Each folder's `installed.txt` is written last: no marker, no installation.
"""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from training.assets.sources import CLEAN_LICENCES, HERE, Source, debian_packages


class AssetsError(Exception):
    """Something the person who runs the build can put right; the message says how."""


def need_program(name: str, package: str) -> None:
    """Raise unless a program is there.

    Raises:
        AssetsError: the program is not on the search path.
    """
    if shutil.which(name) is None:
        raise AssetsError(f"The program '{name}' is missing. Install {package} and run this again.")


def run_program(command: list[str], folder: Path, *, task: str) -> None:
    """Run a program and report its failure with the end of what it said.

    Raises:
        AssetsError: the program failed.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise AssetsError(f"{task} failed. {command[0]} said:\n{said}")


def install_npm_packages(work: Path) -> Path:
    """Install the pinned npm packages and return their node_modules folder.

    Raises:
        AssetsError: npm or node is missing, or the installation failed.
    """
    folder = work / "npm"
    marker = folder / "installed.txt"
    lock = (HERE / "package-lock.json").read_bytes()
    state = hashlib.sha256(lock).hexdigest()
    if not marker.is_file() or marker.read_text() != state:
        need_program("node", "Node.js 18 or newer")
        need_program("npm", "npm")
        folder.mkdir(parents=True, exist_ok=True)
        marker.unlink(missing_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, folder / name)
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps"]
        run_program(["npm", "ci", *flags], folder, task="Installing the npm packages")
        marker.write_text(state)
    return folder / "node_modules"


def unpack_debian_packages(work: Path) -> Path:
    """Download and unpack the pinned Debian packages and return the folder of their files.

    Raises:
        AssetsError: a program is missing, or the package could not be fetched or unpacked.
    """
    folder = work / "debian"
    marker = folder / "installed.txt"
    state = json.dumps(debian_packages())
    if not marker.is_file() or marker.read_text() != state:
        need_program("apt-get", "apt (Debian or Ubuntu), or leave the set out: --skip openclipart")
        need_program("dpkg-deb", "dpkg")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, version in debian_packages().items():
            task = (
                f"Fetching the Debian package {name} {version} "
                "(run 'apt-get update' first, or leave it out with --skip openclipart)"
            )
            run_program(["apt-get", "download", f"{name}={version}"], folder, task=task)
            for archive in sorted(folder.glob(f"{name}_*.deb")):
                command = ["dpkg-deb", "-x", archive.name, "files"]
                run_program(command, folder, task=f"Unpacking {name}")
                archive.unlink()
        marker.write_text(state)
    return folder / "files"


def stated_licence(modules: Path, source: Source) -> str | None:
    """Return the licence of the drawings as the package itself states it, None if it does not."""
    folder = modules / source.package
    if (folder / "info.json").is_file():
        return str(json.loads((folder / "info.json").read_text("utf-8"))["license"]["spdx"])
    if source.package.startswith("@dicebear/"):
        text = (folder / "LICENSE").read_text("utf-8").split("# Code")[0]
        found = re.search(r"^License: (.*?) \(", text, re.MULTILINE)
        words = {how: licence for licence, how in CLEAN_LICENCES.items()}
        return words.get(found[1], found[1]) if found else None
    return None


def check_licence(modules: Path, source: Source) -> None:
    """Raise if a package states another licence than sources.toml does.

    Raises:
        AssetsError: the package is missing or its licence differs.
    """
    if not (modules / source.package).is_dir():
        raise AssetsError(
            f"The package {source.package} is missing in {modules}. "
            f"Delete {modules.parent / 'installed.txt'} and run this again."
        )
    stated = stated_licence(modules, source)
    if stated not in (None, source.licence):
        raise AssetsError(
            f"{source.package} says its drawings are under {stated}, sources.toml says "
            f"{source.licence}. Look at the package before using it."
        )
