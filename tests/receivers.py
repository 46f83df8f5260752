"""Real receivers of webhooks on this machine, with answers as a test wants them; and a small world.

The world's names and addresses are the test's: a name leads where the test says, and what is sent to an
address of the public network arrives at a receiver here.
"""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.served import until

PUBLIC = "93.184.216.34"
NAME = "receiver.test"


@dataclass(frozen=True)
class Received:
    """One message as it came."""

    path: str
    headers: dict
    body: bytes

    @property
    def messageid(self):
        return self.headers["webhook-id"]

    @property
    def event(self):
        return json.loads(self.body)


class Receiver:
    """A running receiver; it answers with each of `answers` once, and then with 204.

    An answer is a status, or a function that is given the request and answers itself.
    """

    def __init__(self, answers, certificate=None, port=0):
        self.answers, self.messages = list(answers), []
        receiver = self

        class Request(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.messages.append(Received(self.path, headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                with suppress(OSError):  # whoever sent it has gone
                    answer(self) if callable(answer) else say(self, answer)

            def log_message(self, *rest):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *rest):
                pass  # a handshake that was broken off

        self.server = Server(("127.0.0.1", port), Request)
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_port
        self.url = f"{self.scheme}://127.0.0.1:{self.port}/told?token=secret"

    def wait(self, count=1, seconds=20):
        """Wait for so many messages, and return them all."""
        until(lambda: len(self.messages) >= count, seconds)
        return list(self.messages)


@contextmanager
def receiver(*answers, **options):
    made = Receiver(answers, **options)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


def say(request, status, *, body=b"", **headers):
    """Answer a request."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def later(seconds, status=204):
    """Return an answer that takes its time."""

    def answer(request):
        time.sleep(seconds)
        say(request, status)

    return answer


class World:
    """Where names lead, which receiver is at a public address, and what was asked and connected to."""

    def __init__(self):
        self.names, self.sites = {}, {}
        self.asked, self.reached = [], []

    def leads(self, name, *addresses):
        """Let a name lead to these addresses; to the first group at first, where they are lists."""
        self.names[name] = addresses


@pytest.fixture
def world(monkeypatch):
    made = World()

    def look_up(host, port, *rest, **options):
        made.asked.append(host)
        found = made.names.get(host)
        if found is None:
            return getaddrinfo(host, port, *rest, **options)
        if isinstance(found[0], list):
            made.names[host] = found[1:] or found
            found = found[0]
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (family[":" in address], socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]

    def reach(self, address):
        made.reached.append(address[0])
        return connect(
            self, ("127.0.0.1", made.sites[address[0]]) if address[0] in made.sites else address
        )

    getaddrinfo, connect = socket.getaddrinfo, socket.socket.connect
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", reach)
    return made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a certificate for NAME, which vouches for itself, and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    files = (folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME}", "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files
