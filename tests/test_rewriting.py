"""The rewriter: a small server of our own plays the chat model, well and badly."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gouache import rewriting
from gouache.rewriting import TASK, rewrite
from gouache.settings import read_settings


def completion(text):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@contextmanager
def chat(status, body, *, pause=0.0):
    """Serve one kind of answer; yield the address and the requests as (path, headers, body)."""
    seen = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), json.loads(asked)))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            for byte in range(0, len(body), 4096):
                time.sleep(pause)
                try:
                    self.wfile.write(body[byte : byte + 4096])
                except OSError:
                    return

        def log_message(self, *given):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_a_setting_nobody_is_asked():
    assert rewrite("a cat", read_settings()).prompt == "a cat"
    assert rewrite("a cat", read_settings()).warnings == ()


def test_the_model_is_asked_once_and_its_line_taken(monkeypatch):
    monkeypatch.setenv("CHAT_KEY", "secret-of-the-chat")
    with chat(200, completion("```\nlogo with a loaf of bread, brown\n```")) as (url, seen):
        settings = read_settings(
            rewriter_url=url, rewriter_model="small", rewriter_key_env="CHAT_KEY"
        )
        done = rewrite("Dear all, we bake.", settings)
    assert done.prompt == "logo with a loaf of bread, brown"
    assert done.warnings == ()
    [(path, headers, body)] = seen
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-of-the-chat"
    assert body["model"] == "small"
    assert [m["content"] for m in body["messages"]] == [TASK, "Dear all, we bake."]


def test_without_a_key_none_is_sent():
    with chat(200, completion("a cat")) as (url, seen):
        rewrite("x", read_settings(rewriter_url=f"{url}/chat/completions"))
    assert "Authorization" not in seen[0][1]
    assert seen[0][0] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b"", "answered 500"),
        (401, b"{}", "answered 401"),
        (302, b"", "answered 302"),
        (200, b"no JSON", "something else than one line"),
        (200, b"[]", "something else than one line"),
        (200, b'{"choices": []}', "something else than one line"),
        (200, b'{"choices": [{"message": {"content": null}}]}', "something else than one line"),
        (200, completion(""), "something else than one line"),
        (200, completion("Here it is:\na cat"), "something else than one line"),
        (200, completion("cat " * 400), "something else than one line"),
        (200, b"[" * 100_000, "something else than one line"),
        (200, completion("a cat" + " " * 300_000), "something else than one line"),
    ],
)
def test_a_bad_answer_leaves_the_prompt_as_it_was_and_is_told(status, body, why):
    with chat(status, body) as (url, _):
        done = rewrite("a red cat", read_settings(rewriter_url=url))
    assert done.prompt == "a red cat"
    assert why in done.warnings[0]


def test_a_server_that_is_not_there_or_too_slow_is_told(monkeypatch):
    with chat(200, b"") as (url, _):
        pass
    done = rewrite("a red cat", read_settings(rewriter_url=url))
    assert (done.prompt, "cannot be reached" in done.warnings[0]) == ("a red cat", True)
    monkeypatch.setattr(rewriting, "SECONDS", 0.5)
    with chat(200, completion("a cat" + " " * 200_000), pause=0.05) as (url, _):
        start = time.monotonic()
        done = rewrite("a red cat", read_settings(rewriter_url=url))
    assert time.monotonic() - start < 2
    assert (done.prompt, "did not answer within" in done.warnings[0]) == ("a red cat", True)


def test_the_key_is_in_no_sentence_and_no_repr(monkeypatch):
    monkeypatch.setenv("CHAT_KEY", "secret-of-the-chat")
    with chat(403, b"secret-of-the-chat is wrong") as (url, _):
        settings = read_settings(rewriter_url=url, rewriter_key_env="CHAT_KEY")
        done = rewrite("a cat", settings)
    assert "secret-of-the-chat" not in f"{done} {settings!r} {settings.rewriter_key!r}"
