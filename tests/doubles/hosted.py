"""A double of the hub and its inference providers: real HTTP on this machine, by the rules of the live ones."""

import base64
import io
import json
import threading
import time
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

KEY = "hf_" + "k" * 30


def picture(width, height, seed=0, format="PNG"):
    """Return a file of a smooth pattern."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    file = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(file, format)
    return file.getvalue()


class Double:
    """What it was asked, and how it is to answer.

    `fail` is a status with headers and a body; `fail_hub` a status and the hub's code for it.
    """

    def __init__(self):
        self.asked = []
        self.fail = None
        self.fail_hub = None
        self.size = None
        self.slow = 0.0
        self.format = "PNG"
        self.body = None

    def drawn(self, prompt, given):
        """Return the picture that a request gets."""
        width, height = self.size or (given.get("width", 512), given.get("height", 512))
        return picture(
            width, height, zlib.crc32(prompt.encode()) + given.get("seed", 0), self.format
        )


class Answering(BaseHTTPRequestHandler):
    """Answers for the double of its server."""

    def log_message(self, *arguments):
        """Say nothing."""

    def answer(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        for name, value in [*headers, ("content-type", kind), ("content-length", len(body))]:
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """Say which providers have a model."""
        if self.server.double.fail_hub:
            self.fail_hub()
            return
        if self.path.startswith("/api/models/maker/missing"):
            self.answer(
                404,
                b'{"error": "Repository not found"}',
                headers=[("x-error-code", "RepoNotFound")],
            )
            return
        live = {"status": "live", "task": "text-to-image"}
        providers = {
            name: {**live, "providerId": "theirs/" + name} for name in ("nscale", "together")
        }
        said = {"id": "maker/model", "inferenceProviderMapping": providers}
        self.answer(200, json.dumps(said).encode())

    def do_HEAD(self):
        """Say what do_GET says, without a body."""
        self.fail_hub()

    def fail_hub(self):
        status, code = self.server.double.fail_hub or (404, "RepoNotFound")
        self.server.double.asked.append((self.path, None, dict(self.headers)))
        self.answer(status, b"", headers=[("x-error-code", code)] if code else [])

    def do_POST(self):
        """Draw, or fail as told."""
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.double.asked.append((self.path, given, dict(self.headers)))
        time.sleep(self.server.double.slow)
        try:
            self.draw(given)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked has gone

    def draw(self, given):
        if self.server.double.fail:
            status, headers, body = self.server.double.fail
            self.answer(status, body, headers=headers)
        elif self.server.double.body is not None:
            self.answer(200, self.server.double.body, "text/html")
        elif self.path == "/endpoint":
            self.answer(
                200, self.server.double.drawn(given["inputs"], given["parameters"]), "image/png"
            )
        else:
            if "size" in given:
                given["width"], given["height"] = map(int, given["size"].split("x"))
            base64_text = base64.b64encode(
                self.server.double.drawn(given["prompt"], given)
            ).decode()
            self.answer(200, json.dumps({"data": [{"b64_json": base64_text}]}).encode())


@contextmanager
def hosted_double():
    """Yield a double and its address: an endpoint at /endpoint, the hub at /api, providers below /."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.double = Double()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.double, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
