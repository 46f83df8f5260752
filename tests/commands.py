"""The `gouache` command in processes of its own, as a user and an operator run it."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.served import until

EXAMPLE = (
    '{\n  "tasktype": "generate_image",\n'
    '  "taskapigatewayuuid": "e366a208-63a2-48ea-af74-e3e0abf703b4",\n'
    '  "params": { "prompt": "A white cat sitting on a red sports car." }\n}\n'
)
"""The documented task, byte for byte."""

READY = re.compile(r"Gouache (?:serves|works for) (\S+?),? ")


def task(**params):
    return {"tasktype": "generate_image", "params": {"prompt": "A red bicycle"} | params}


def gouache(*arguments, stdin="", most_bytes=None):
    """Run a command to its end; `most_bytes` limits the size of every file it writes."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        [sys.executable, "-m", "gouache", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=limit if most_bytes else None,
    )


def run(values, *options, **how):
    """Run a task given as JSON; return the exit code, the envelope and what was said."""
    stdin = values if isinstance(values, str) else json.dumps(values)
    done = gouache("run", "-", *options, stdin=stdin, **how)
    return done.returncode, json.loads(done.stdout), done.stderr


class Begun:
    """A command that was begun; what it prints goes to two files."""

    def __init__(self, folder, arguments):
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gouache", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    @property
    def said(self):
        return self.err.read_text()

    def ready(self):
        """Wait until it serves or works; return its address or the names of its gateways."""
        until(lambda: READY.search(self.said) or self.process.poll() is not None, 30)
        found = READY.search(self.said)
        assert found, self.said
        return found[1]

    def stop(self, number=signal.SIGTERM):
        """Signal it; return its exit code and how long it took to leave."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(30), time.monotonic() - begun


@contextmanager
def begun(folder, *arguments):
    """Begin a command, and end it with the block where it is still there."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    command = Begun(folder, arguments)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait()


def stored(data_dir):
    """Return every file that was stored, also what was left half-written."""
    return [path for path in (Path(data_dir) / "files").rglob("*") if path.is_file()]


PORT = "8611"
"""The server's port as the documents have it."""


def blocks(language, text):
    """Return the fenced blocks of a document that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def follow(text, folder):
    """Do what the console blocks of a document say, in this folder; return what was printed.

    `gouache serve` is begun on a free port instead of the documented one; what follows it is done
    while it runs.
    """
    lines = "".join(blocks("console", text)).splitlines()
    at = lines.index("gouache serve")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    path = f"{_own_command(folder)}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = _shell(lines[:at], folder, path)
    with begun(
        folder / "server", "serve", "--port", port, "--data-dir", str(folder / "data")
    ) as server:
        server.ready()
        rest = [line.replace(f":{PORT}", f":{port}") for line in lines[at + 1 :]]
        return done + _shell(rest, folder, path), server.stop()[0]


def _shell(lines, folder, path):
    script = "set -eux -o pipefail\n" + "\n".join(lines)
    done = subprocess.run(
        ["bash", "-c", script.replace("curl ", "curl --fail-with-body --silent --show-error ")],
        cwd=folder,
        env=os.environ | {"PATH": path, "GOUACHE_DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout


def _own_command(folder):
    """Return a folder with a `gouache` that is this one, whatever is installed."""
    command = folder / "bin" / "gouache"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gouache "$@"\n')
    command.chmod(0o755)
    return command.parent
