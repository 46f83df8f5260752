"""OpenAI's image models, and those of every server that speaks the same dialect.

What a target takes is a table (`dialects.toml`); a gateway's options may say it otherwise. Each picture
is one call of the official library, which repeats nothing by itself: repeating is the queue's. The
picture comes as base64 or as an address, at once or after previews, and is kept byte for byte where it
has the size asked for. What goes out has no more headers than the API needs: neither the library's
report on this machine nor what its variables would add.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import httpx2
from PIL import Image
from pydantic import BaseModel, ValidationError

from gouache.calling import CONNECT_SECONDS, certificates
from gouache.contract import QUALITIES, GenerateImage
from gouache.engines import (
    Capabilities,
    Drawing,
    OnStep,
    Pixels,
    Step,
    check_supported,
    choose_seed,
    remote,
)
from gouache.engines.arriving import arrived, decoded, preview, smaller
from gouache.engines.dialects import read_target
from gouache.engines.fetching import Source, fetched
from gouache.errors import EngineError, EngineTimedOut, EngineUnavailable
from gouache.scene import STYLES
from gouache.settings import Settings, key_in
from gouache.usage import Usage

try:
    import openai
    import openai.resources.images  # else the first call would, between its turn and its sending

    from gouache.engines.openai_failures import Asked, failure_of
except ModuleNotFoundError as missing:
    raise ImportError("it needs a library: pip install 'gouache[openai]'") from missing

NEEDED_HEADERS = {"host", "accept", "connection", "content-length", "content-type"}
UNUSED_KEY = "unused"  # the library must not look for one, nor hold ours
WITHOUT_RESPONSE_FORMAT = re.compile(r"(.*/)?(gpt-image|chatgpt-image)")


class _Picture(BaseModel):
    """A picture of an answer."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Answer(BaseModel):
    """What comes of a call."""

    data: list[_Picture]
    usage: Any = None


@dataclass(frozen=True, slots=True)
class _Received:
    """The file of a picture, and what came with it."""

    data: bytes
    revised_prompt: str | None
    usage: Usage | None


class OpenAIImages:
    """Draws by OpenAI's image API, at OpenAI or elsewhere."""

    def __init__(
        self, settings: Settings, options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Read the options; nothing is called yet."""
        self._target = read_target(options)
        models = self._target.models
        self.capabilities = Capabilities(
            models={"dall-e-3": models[0], **{model: model for model in models}},
            styles=tuple(STYLES),
            supports_seed=self._target.seed,
            provider=self._target.provider,
        )

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Have the request drawn.

        Raises:
            UnsupportedByEngine: a field asks for what it cannot do.
            ContentRefused: the target refuses the prompt.
            EngineRateLimited, EngineTimedOut, EngineUnavailable: it may draw the next time.
            EngineError: it will not, until somebody changes what the message says.
            Cancelled: `on_step` raised it.
        """
        check_supported(request, self.capabilities)
        prompt, warnings = self._prompt(request)
        if request.quality != "standard" and not self._has_qualities:
            warnings = (*warnings, f"{request.quality} is the same as standard at this gateway")
        asked = Asked(
            target=self._target,
            model=self.capabilities.models[request.model],
            prompt=prompt,
            key=self._key(),
        )
        seed = choose_seed(request) if self._target.seed else None
        body = self._body(request, asked.model, seed)
        steps = self._target.partial_images + 1
        received = remote.wait_for(partial(self._ask, asked, body), on_step, steps=steps)
        picture = arrived(received.data, request.width, request.height)
        if on_step:
            on_step(Step(steps, steps, smaller(Image.fromarray(picture.pixels))))
        return Drawing(
            pixels=picture.pixels,
            model=asked.model,
            seed=seed,
            revised_prompt=received.revised_prompt or prompt,
            encoded=picture.encoded,
            usage=received.usage,
            warnings=(*warnings, *picture.warnings),
        )

    def explain(self) -> tuple[str, ...]:
        """Return where it has pictures drawn.

        Raises:
            EngineError: its key is not in its variable.
        """
        self._key()
        key = f"the key of {self._target.key_env}" if self._target.key_env else "no key"
        return (f"drawn at {self._target.base_url} with {key}",)

    def close(self) -> None:
        """Hold nothing between pictures."""

    @property
    def _has_qualities(self) -> bool:
        sent = [self._target.quality.get(quality, {}) for quality in QUALITIES]
        return any(one != sent[0] for one in sent)

    def _key(self) -> str:
        """Return the key from its variable, or "" where none is wanted."""
        variable = self._target.key_env
        if not variable:
            return ""
        key = key_in(variable)
        if not re.fullmatch("[!-~]+", key):
            state = "is not set" if not key else "holds what cannot be a key"
            raise EngineError(
                f"the variable {variable}, which is to hold the key for {self._target.base_url}, "
                f"{state}"
            ).unspent()
        return key

    def _prompt(self, request: GenerateImage) -> tuple[str, tuple[str, ...]]:
        """Return the prompt as the target can take it, and sentences on what became of it."""
        most = self._target.max_prompt
        style = f", {STYLES[request.style]}" if request.style else ""
        prompt = request.prompt
        for sign in self._target.reserved:
            prompt = prompt.replace(sign, ",")
        if len(prompt) + len(style) <= most:
            return prompt + style, ()
        room = max(1, most - len(style))
        cut = prompt[:room].rpartition(" ")[0] or prompt[:room]
        sentence = f"the prompt was cut after {len(cut):,} of its {len(prompt):,} characters"
        return (cut + style)[:most], (sentence,)

    def _body(self, request: GenerateImage, model: str, seed: int | None) -> dict[str, Any]:
        """Return what is sent beside the prompt and the model."""
        target = self._target
        shape = target.shape_for(model, request.size)
        body: dict[str, Any] = {}
        if target.size_as == "width_height":
            body["width"], body["height"] = (int(side) for side in shape.split("x"))
        else:
            body[target.size_as] = shape
        body |= target.quality.get(request.quality, {})
        if target.response_format:
            body["response_format"] = target.response_format
        if seed is not None:
            body["seed"] = seed
        if target.partial_images:
            body["partial_images"] = target.partial_images
        body |= target.parameters
        if WITHOUT_RESPONSE_FORMAT.match(model):
            body.pop("response_format", None)
        return body

    async def _ask(self, asked: Asked, body: Mapping[str, Any], tell: OnStep) -> _Received:
        """Return the picture that the target draws, within the time it has."""
        seconds = self._target.timeout_seconds
        try:
            async with asyncio.timeout(seconds), self._called(asked, body) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip()
                if kind == "text/event-stream":
                    answer = await self._end(await response.parse(), tell)
                else:
                    answer = _answer(await self._whole(response), kind, asked)
                return await self._received(answer, asked)
        except TimeoutError:
            raise EngineTimedOut(f"{asked.host} took longer than {seconds:g} s") from None
        except openai.OpenAIError as error:
            raise failure_of(error, asked) from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise EngineUnavailable(f"{asked.host} broke off the connection") from None

    @asynccontextmanager
    async def _called(self, asked: Asked, body: Mapping[str, Any]) -> AsyncIterator[Any]:
        """Yield the target's answer, of which nothing is read yet."""
        target = self._target
        transport = _SaysNoMore(self._headers(asked.key))
        async with httpx2.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False
        ) as http:
            client: openai.AsyncOpenAI
            told: dict[str, Any] = {
                "api_key": UNUSED_KEY,
                "max_retries": 0,
                "timeout": httpx2.Timeout(target.timeout_seconds, connect=CONNECT_SECONDS),
                "http_client": http,
            }
            if target.api_version:
                client = openai.AsyncAzureOpenAI(
                    azure_endpoint=target.base_url, api_version=target.api_version, **told
                )
            else:
                client = openai.AsyncOpenAI(base_url=target.base_url, **told)
            generate = cast(Any, client.images.with_streaming_response.generate)
            async with generate(
                prompt=asked.prompt,
                model=asked.model,
                stream=True if target.partial_images else openai.omit,
                extra_body=dict(body),
            ) as response:
                yield response

    def _headers(self, key: str) -> dict[str, str]:
        """Return the headers that only the target itself may see."""
        if not key:
            return {}
        if self._target.key_header == "api-key":
            return {"api-key": key}
        return {"Authorization": f"Bearer {key}"}

    async def _whole(self, response: Any) -> bytes:
        """Return the body of an answer, which is base64 and little else."""
        most, content = 2 * self._target.max_bytes, bytearray()
        async for chunk in response.iter_bytes():
            content += chunk
            if len(content) > most:
                raise EngineError(f"the answer is larger than {most:,} bytes (twice max_bytes)")
        return bytes(content)

    async def _end(self, events: AsyncIterator[Any], tell: OnStep) -> _Answer:
        """Pass on the previews of a stream and return its end."""
        partials = self._target.partial_images
        seen = 0
        try:
            async for event in events:
                said = event.to_dict()
                kind = str(said.get("type", ""))
                if kind.endswith(".partial_image") and seen < partials:
                    seen += 1
                    tell(Step(seen, partials + 1, _shown(said)))
                elif kind.endswith(".completed"):
                    return _Answer(data=[_Picture.model_validate(said)], usage=said.get("usage"))
        except (ValueError, AttributeError, RecursionError):
            raise EngineUnavailable("the stream of the picture arrived broken") from None
        raise EngineUnavailable("the stream ended before the picture")

    async def _received(self, answer: _Answer, asked: Asked) -> _Received:
        """Return the picture of an answer, fetched where it is somewhere else."""
        picture = answer.data[0] if answer.data else _Picture()
        if picture.b64_json:
            data = decoded(picture.b64_json)
        elif picture.url and picture.url.startswith("data:"):
            data = decoded(picture.url)
        elif picture.url:
            api = httpx2.URL(f"{self._target.base_url}/")
            source = Source(api, self._headers(asked.key), self._target.max_bytes)
            data = await fetched(picture.url, source)
        else:
            raise EngineUnavailable(f"{asked.host} answered without a picture")
        return _Received(data, picture.revised_prompt, _usage(answer.usage))


class _SaysNoMore(httpx2.AsyncHTTPTransport):
    """Leaves of a request's headers what the API needs, and adds ours."""

    def __init__(self, ours: Mapping[str, str]) -> None:
        super().__init__(verify=certificates(), trust_env=False)
        self._ours = {"User-Agent": "Gouache", "Accept-Encoding": "identity", **ours}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        needed = {name: value for name, value in request.headers.items() if name in NEEDED_HEADERS}
        return await super().handle_async_request(
            httpx2.Request(
                request.method,
                request.url,
                headers=needed | self._ours,
                stream=request.stream,
                extensions=request.extensions,
            )
        )


def _answer(content: bytes, kind: str, asked: Asked) -> _Answer:
    try:
        return _Answer.model_validate_json(content)
    except ValidationError:
        raise EngineError(
            f"{asked.host} answered with something else than a picture ({kind or 'no type'}); "
            "check base_url"
        ) from None


def _shown(event: Mapping[str, Any]) -> Pixels | None:
    """Return the preview of an event; a broken one is no reason to stop."""
    try:
        return preview(decoded(str(event.get("b64_json", ""))))
    except EngineError:
        return None


def _usage(said: object) -> Usage | None:
    """Return what an answer says was used, as far as it is readable."""
    if not isinstance(said, Mapping):
        return None
    counts = {name: said.get(name) for name in ("input_tokens", "output_tokens")}
    if not all(isinstance(count, int) and count >= 0 for count in counts.values()):
        return None
    return Usage(**counts)
