"""A double of OpenAI's Images API as it is in late 2026: a real server that keeps the live one's rules.

`/v1` is OpenAI with its GPT image models: what they refuse is refused here, in OpenAI's own words.
`/openai/deployments/{model}` is the same as Azure serves it. `/local/v1` is a server of the older kind,
which takes `response_format` and a seed, answers with addresses, and revises prompts. What is to go
wrong is said by `mode`; every call is kept.
"""

import asyncio
import hashlib
import json
import re
import socket
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.doubles.pictures import bomb, coded, endless, picture
from tests.served import running

KEY = "sk-double-0123456789abcdef"
VARIABLE = "DOUBLE_KEY"
"""Holds the key in tests that use the fixture `double`."""

FORBIDDEN = "forbidden"
"""A prompt with this word is refused by the safety system."""

LIVE = {
    "gpt-image-1.5": ("low", "medium", "high", "auto"),
    "gpt-image-2": ("low", "medium", "high", "auto"),
    "gpt-image-2.5-flare": ("low", "medium", "high", "xhigh", "max", "auto"),
    "gpt-image-2.6-flare": ("low", "medium", "high", "xhigh", "max", "auto"),
}
"""The models that draw, each with its qualities."""

OLDER_SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
KNOWN = set(
    [
        "background",
        "complexity",
        "model",
        "moderation",
        "n",
        "output_compression",
        "output_format",
        "partial_images",
        "prompt",
        "quality",
        "safety_identifier",
        "size",
        "stream",
        "user",
    ]
)
"""What the GPT image models take; `response_format`, `style` and `seed` are not among it."""


def refusal(message, *, kind="invalid_request_error", param=None, code=None, status=400):
    error = {"message": message, "type": kind, "param": param, "code": code}
    headers = {"x-request-id": "req_double"}
    return JSONResponse({"error": error}, status, headers=headers)


class Double:
    """The state of the double: what was asked, and what is to go wrong."""

    def __init__(self):
        self.url = ""
        self.forget()

    def forget(self):
        """Be as new."""
        self.mode = ""
        self.form = "PNG"
        self.drawn_size = None
        self.calls = []
        self.paths = Counter()
        self.fetched = []
        self.abandoned = 0
        self.files = {}

    @property
    def base_url(self):
        return f"{self.url}/v1"

    @property
    def local_url(self):
        return f"{self.url}/local/v1"

    async def generations(self, request):
        """Answer as OpenAI does."""
        body = await self._asked(request)
        failure = await self._failure(request, body, azure="api-version" in request.query_params)
        if failure is not None:
            return failure
        size = "1024x1024" if body.get("size", "auto") == "auto" else body["size"]
        if body.get("stream"):
            return StreamingResponse(self._events(body, size), media_type="text/event-stream")
        data = self._drawn(body["prompt"], 0, size)
        if self.mode == "cut":
            return self._cut(json.dumps({"data": [{"b64_json": coded(data)}]}).encode())
        b64 = "!!not base64!!" if self.mode == "broken base64" else coded(data)
        return JSONResponse(answer_of(body, size, [] if self.mode == "empty" else [b64]))

    async def local_generations(self, request):
        """Answer as a server of the older kind does."""
        body = await self._asked(request)
        failure = await self._broken(request)
        if failure is not None:
            return failure
        data = self._drawn(body["prompt"], body.get("seed", 0), body.get("size", "512x512"))
        entry = {"revised_prompt": f"{body['prompt']}, in fine detail"}
        if body.get("response_format", "url") == "b64_json":
            return JSONResponse({"created": 1, "data": [entry | {"b64_json": coded(data)}]})
        name = hashlib.sha256(data).hexdigest()[:16]
        self.files[name] = data
        return JSONResponse({"created": 1, "data": [entry | {"url": self._address(name)}]})

    async def file(self, request):
        """Answer with a picture that was drawn, or as the mode says."""
        self.fetched.append(dict(request.headers))
        name = request.path_params["name"]
        data = self.files.get(name, b"")
        match self.mode:
            case "url: gone":
                return Response("expired", 403)
            case "url: web page":
                return HTMLResponse("<html>please sign in</html>")
            case "url: huge":
                return StreamingResponse(endless(), media_type="image/png")
            case "url: redirects" if not name.endswith("..."):
                self.files[f"{name}."] = data
                return Response(status_code=302, headers={"location": f"/files/{name}."})
            case "url: redirects too often":
                return Response(status_code=307, headers={"location": f"/files/{name}"})
            case "url: redirects to a private host":
                return Response(status_code=302, headers={"location": "https://127.0.0.2/secret"})
            case "url: redirects to another port":
                return Response(status_code=302, headers={"location": "http://127.0.0.1:1/secret"})
        return Response(data, media_type="image/png")

    async def _asked(self, request):
        self.paths[request.url.path] += 1
        body = json.loads(await request.body())
        self.calls.append(
            {"headers": dict(request.headers), "body": body, "time": time.monotonic()}
        )
        return body

    async def _failure(self, request, body, *, azure):
        """Return OpenAI's refusal of a request, if it refuses it, or what is to go wrong."""
        key = request.headers.get("api-key") if azure else request.headers.get("authorization")
        if key not in (KEY, f"Bearer {KEY}"):
            shown = (key or "nothing").removeprefix("Bearer ")
            return refusal(
                f"Incorrect API key provided: {shown}.", code="invalid_api_key", status=401
            )
        broken = await self._broken(request)
        if broken is not None:
            return broken
        model = request.path_params.get("model") or body.get("model")
        if model not in LIVE:
            message = f"The model `{model}` does not exist or you do not have access to it."
            return refusal(message, code="model_not_found", status=404)
        for check in (unknown_of, prompt_of, choice_of, size_of):
            found = check(model, body)
            if found is not None:
                return found
        return None

    async def _broken(self, request):
        """Return what goes wrong whatever is asked."""
        if self.mode == "slow":
            await self._wait(request)
            return Response(status_code=503)
        return FAILURES[self.mode]() if self.mode in FAILURES else None

    async def _events(self, body, size):
        """Yield the events of a stream."""
        about = {"background": "opaque", "created_at": 1, "output_format": "png", "size": size}
        about["quality"] = body.get("quality", "auto")
        small = picture(body["prompt"], size="64x64")
        for index in range(body.get("partial_images", 0)):
            b64 = "???" if self.mode == "stream: broken preview" else coded(small)
            event = {"b64_json": b64, "partial_image_index": index}
            yield sse("image_generation.partial_image", about | event)
            if self.mode == "stream: slow":
                try:
                    await asyncio.sleep(60)
                finally:
                    self.abandoned += 1
            if self.mode == "stream: cut":
                raise ConnectionError("cut, as the test wants it")
        if self.mode == "stream: ends early":
            return
        if self.mode == "stream: moderated":
            error = {"type": "image_generation_user_error", "code": "moderation_blocked"}
            yield sse("error", {"error": error | {"message": "Your request was rejected."}})
            return
        if self.mode == "stream: broken":
            yield b"data: {]\n\n"
            return
        data = self._drawn(body["prompt"], 0, size)
        yield b": keep-alive\n\n"
        event = {"b64_json": coded(data), "usage": usage_of(body["prompt"])}
        yield sse("image_generation.completed", about | event)
        yield b"data: [DONE]\n\n"

    def _drawn(self, prompt, seed, size):
        return picture(prompt, seed=seed, size=self.drawn_size or size, form=self.form)

    def _address(self, name):
        elsewhere = {
            "url: private": "https://127.0.0.2/picture.png",
            "url: link-local": "https://169.254.169.254/latest/meta-data/",
            "url: another name of this machine": f"{self.url.replace('127.0.0.1', 'localhost')}/files/{name}",
            "url: another scheme": "file:///etc/passwd",
            "url: none": "https://[",
            "url: relative": f"/files/{name}",
            "url: nowhere": "http://127.0.0.1:1/files/x",
            "url: data": f"data:image/png;base64,{coded(self.files[name])}",
        }
        return elsewhere.get(self.mode, f"{self.url}/files/{name}?sig=signed-secret")

    def _cut(self, content):
        async def half():
            yield content[: len(content) // 2]
            raise ConnectionError("cut, as the test wants it")

        headers = {"content-length": str(len(content))}
        return StreamingResponse(half(), media_type="application/json", headers=headers)

    async def _wait(self, request):
        for _ in range(600):
            if await request.is_disconnected():
                self.abandoned += 1
                return
            await asyncio.sleep(0.1)


def unknown_of(model, body):
    for name in body:
        if name not in KNOWN:
            message = f"Unknown parameter: '{name}'."
            return refusal(message, param=name, code="unknown_parameter")
    return None


def prompt_of(model, body):
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        message = "Missing required parameter: 'prompt'."
        return refusal(message, param="prompt", code="missing_required_parameter")
    if len(prompt) > 32_000:
        message = f"Invalid 'prompt': string too long. Expected 32000 at most; got {prompt!r}."
        return refusal(message, param="prompt", code="string_above_max_length")
    if FORBIDDEN in prompt:
        message = (
            "Your request was rejected by the safety system. If you believe this is an error, contact "
            f"us at help.openai.com. safety_violations=[violence]. Prompt: {prompt}"
        )
        kind = "image_generation_user_error"
        return refusal(message, kind=kind, code="moderation_blocked")
    return None


def choice_of(model, body):
    choices = {
        "quality": LIVE[model],
        "background": ("transparent", "opaque", "auto"),
        "output_format": ("png", "webp", "jpeg", "gif", "svg"),
        "partial_images": (0, 1, 2, 3),
        "stream": (True, False),
    }
    for name, allowed in choices.items():
        if name in body and body[name] not in allowed:
            return invalid(name, body[name], allowed)
    if "partial_images" in body and not body.get("stream"):
        message = "The partial_images parameter is only supported when stream is true."
        return refusal(message, param="partial_images", code="invalid_value")
    return None


def size_of(model, body):
    size = body.get("size", "auto")
    if model.startswith("gpt-image-1"):
        return None if size in OLDER_SIZES else invalid("size", size, OLDER_SIZES)
    found = re.fullmatch(r"(\d+)x(\d+)", size)
    if size == "auto":
        return None
    width, height = (int(side) for side in found.groups()) if found else (0, 1)
    if width % 16 or height % 16 or not 1 / 3 <= width / height <= 3 or max(width, height) > 3840:
        message = f"Invalid size '{size}'. Width and height must both be divisible by 16."
        return refusal(message, param="size", code="invalid_value")
    return None


def invalid(name, value, allowed):
    values = ", ".join(f"'{one}'" for one in allowed)
    message = f"Invalid value: '{value}'. Supported values are: {values}."
    return refusal(message, param=name, code="invalid_value")


def limited(**headers):
    message = "Rate limit reached for images per minute."
    response = refusal(message, kind="requests", code="rate_limit_exceeded", status=429)
    response.headers.update(headers)
    return response


def unpaid():
    message = "You exceeded your current quota, please check your plan and billing details."
    return refusal(message, kind="insufficient_quota", code="insufficient_quota", status=429)


def failing(status):
    message = "The server had an error while processing your request."
    return refusal(message, kind="server_error", status=status)


def answer_of(body, size, pictures):
    """Return an answer of the GPT image models: neither addresses nor revised prompts."""
    return {
        "created": 1,
        "background": "opaque",
        "data": [{"b64_json": one} for one in pictures],
        "output_format": "png",
        "quality": body.get("quality", "auto"),
        "size": size,
        "usage": usage_of(body["prompt"]),
    }


def usage_of(prompt):
    read = len(prompt.split())
    return {
        "input_tokens": read,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": read},
        "output_tokens": 1056,
        "total_tokens": read + 1056,
    }


def holding(data):
    return JSONResponse({"data": [{"b64_json": coded(data)}]})


FAILURES = {
    "429": limited,
    "429 with Retry-After": lambda: limited(**{"retry-after": "7"}),
    "429 with a date": lambda: limited(**{"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}),
    "quota": unpaid,
    "billing": lambda: refusal(
        "Billing hard limit has been reached.", code="billing_hard_limit_reached"
    ),
    "403": lambda: refusal("Your organization must be verified to use the model.", status=403),
    "500": lambda: failing(500),
    "503": lambda: failing(503),
    "504": lambda: failing(504),
    "502 web page": lambda: HTMLResponse("<html>Bad gateway</html>", 502),
    "404 web page": lambda: HTMLResponse("<html>Not here</html>", 404),
    "html": lambda: HTMLResponse("<html><title>Welcome</title></html>"),
    "not json": lambda: Response(b"{]", media_type="application/json"),
    "not a picture": lambda: holding(b"not a picture"),
    "half a picture": lambda: holding(picture("half")[:5000]),
    "bomb": lambda: holding(bomb()),
    "redirect": lambda: Response(status_code=308, headers={"location": "http://127.0.0.1:1/"}),
}
"""What can go wrong whatever is asked, by its mode."""


def sse(kind, data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | data)}\n\n".encode()


@contextmanager
def doubled():
    """Yield a running double."""
    double = Double()
    routes = [
        Route("/v1/images/generations", double.generations, methods=["POST"]),
        Route(
            "/openai/deployments/{model}/images/generations", double.generations, methods=["POST"]
        ),
        Route("/local/v1/images/generations", double.local_generations, methods=["POST"]),
        Route("/files/{name}", double.file),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        double.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with running(Starlette(routes=routes), listener):
            yield double


@pytest.fixture(scope="module")
def running_double():
    """The double of a file of tests."""
    with doubled() as double:
        yield double


@pytest.fixture
def double(running_double, monkeypatch):
    """The double with no calls yet, and its key in `VARIABLE`."""
    monkeypatch.setenv(VARIABLE, KEY)
    running_double.forget()
    return running_double
