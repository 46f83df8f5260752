"""Models that others host, by the inference client of Hugging Face: its providers, or an endpoint.

Each picture is one call, which the client repeats by no means: repeating is the queue's. Sizes, seeds,
steps and guidance are passed on; a provider that has no use for one leaves it out or refuses it by name.
"""

import asyncio
import io
import re
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydantic import Field, model_validator

from gouache.addresses import web_address
from gouache.calling import seconds_of, why_unconnected
from gouache.contract import GenerateImage
from gouache.engines import (
    Capabilities,
    Drawing,
    OnStep,
    Step,
    check_supported,
    choose_seed,
    read_options,
    remote,
)
from gouache.engines.arriving import arrived, smaller
from gouache.engines.asking import Guidance, Steps
from gouache.errors import (
    ContentRefused,
    EngineError,
    EngineRateLimited,
    EngineTimedOut,
    EngineUnavailable,
)
from gouache.given import Given
from gouache.settings import Settings, key_in

LONGEST_WAIT_SECONDS = 3600.0
"""What Retry-After can ask for."""

OWN_HOSTS = re.compile(r"([\w.-]+\.)?huggingface\.(co|cloud)(:443)?", re.ASCII)
"""Whom the hub's token may be sent to unasked."""

_REFUSED = re.compile(r"nsfw|moderat|safety|content policy|sensitive content", re.IGNORECASE)


class Options(Given, extra="forbid"):
    """What a gateway's row tells this engine."""

    model: str = Field(
        "", max_length=200, description="A repository of the hub; its name where base_url is given."
    )
    provider: str = Field(
        "auto",
        pattern="^[a-z0-9-]{1,50}$",
        description="Who draws; the first of the account's providers that has the model.",
    )
    base_url: str = Field("", description="An endpoint of one's own, instead of a provider.")
    key_env: str | None = Field(
        None,
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="The variable that holds the key; HF_TOKEN, but not for hosts of others.",
    )
    bill_to: str | None = Field(None, min_length=1, description="The organisation that pays.")
    steps: Steps = Field(Steps(), description="Steps by quality; without them the model's own.")
    guidance: Guidance = Field(Guidance(), description="Guidance by quality; likewise.")
    size: bool = Field(True, description="Whether the size is sent; else every picture is fitted.")
    seed: bool = Field(True, description="Whether the seed is sent; else there is none.")
    parameters: dict[str, Any] = Field(
        {}, description="What else is sent, as the provider names it."
    )
    timeout_seconds: float = Field(120, gt=0, le=3600, description="How long one call may take.")

    @model_validator(mode="after")
    def _says_who_draws(self) -> "Options":
        if self.base_url:
            web_address(self.base_url)
        elif not self.model:
            raise ValueError("needs a model, or a base_url")
        return self

    @property
    def shown(self) -> str:
        """The model's name as results show it."""
        return self.model or "endpoint"

    @property
    def host(self) -> str:
        """The host of `base_url`, with its port; "" without one."""
        return re.sub(r"^https?://([^/?#]*).*$", r"\1", self.base_url)

    @property
    def variable(self) -> str:
        """The variable that holds the key, "" where none is sent; the hub's goes to the hub's hosts."""
        if self.key_env is not None:
            return self.key_env
        is_ours = not self.base_url or OWN_HOSTS.fullmatch(self.host)
        return "HF_TOKEN" if is_ours else ""


class HuggingFaceHosted:
    """Draws by the inference client of Hugging Face."""

    def __init__(
        self, settings: Settings, options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Read the options; nothing is called yet.

        Raises:
            SettingsError: an option is unknown or has a bad value.
            EngineError: the library is not installed.
        """
        self._options = read_options(Options, options)
        if find_spec("huggingface_hub") is None:
            raise EngineError("it needs huggingface_hub: pip install 'gouache[hosted]'")
        name = self._options.shown
        self.capabilities = Capabilities(
            models={"dall-e-3": name, name: name}, supports_seed=self._options.seed
        )

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Have the request drawn.

        Raises:
            UnsupportedByEngine: a field asks for what it cannot do.
            ContentRefused: the provider refuses the prompt.
            EngineRateLimited, EngineTimedOut, EngineUnavailable: it may draw the next time.
            EngineError: it will not, until somebody changes what the message says.
            Cancelled: `on_step` raised it.
        """
        check_supported(request, self.capabilities)
        seed = choose_seed(request) if self._options.seed else None
        data = remote.wait_for(partial(self._ask, request, seed), on_step, steps=1)
        picture = arrived(data, request.width, request.height)
        if on_step:
            on_step(Step(1, 1, smaller(Image.fromarray(picture.pixels))))
        return Drawing(
            pixels=picture.pixels,
            model=self._options.shown,
            seed=seed,
            revised_prompt=request.prompt,
            encoded=picture.encoded,
            warnings=picture.warnings,
        )

    def explain(self) -> tuple[str, ...]:
        """Return who draws.

        Raises:
            EngineError: the key is not in its variable.
        """
        key = f"the key of {self._options.variable}" if self._key() else "no key"
        return (f"drawn at {self._host} with {key}",)

    def close(self) -> None:
        """Hold nothing between pictures."""

    async def _ask(self, request: GenerateImage, seed: int | None, tell: OnStep) -> bytes:
        """Return the file of the picture, within the time it has."""
        from huggingface_hub import AsyncInferenceClient

        told = self._options
        key = self._key()
        client = AsyncInferenceClient(
            told.base_url or told.model,
            provider=None if told.base_url else told.provider,
            token=key or None,
            timeout=told.timeout_seconds,
            headers={} if key else {"authorization": None},  # else it looks for a key itself
            bill_to=told.bill_to,
        )
        try:
            async with asyncio.timeout(told.timeout_seconds), client:
                image = await client.text_to_image(
                    request.prompt,
                    width=request.width if told.size else None,
                    height=request.height if told.size else None,
                    num_inference_steps=getattr(told.steps, request.quality),
                    guidance_scale=getattr(told.guidance, request.quality),
                    seed=seed,
                    extra_body=told.parameters,
                )
                return _file_of(image)
        except Exception as error:
            raise self._failure_of(error) from None  # it may quote the prompt, or show the key

    def _key(self) -> str:
        """Return the key from its variable, or "" where none is wanted."""
        variable = self._options.variable
        key = key_in(variable)
        if (
            variable
            and not re.fullmatch("[!-~]+", key)
            and not (self._options.base_url and not key)
        ):
            message = f"the variable {variable} must hold the key for {self._host}"
            raise EngineError(message).unspent()
        return key

    @property
    def _host(self) -> str:
        """Who draws, in an error."""
        provider = self._options.provider
        return self._options.host or (
            "Hugging Face's providers" if provider == "auto" else provider
        )

    def _failure_of(self, error: Exception) -> EngineError:
        """Return what a failure of the client is to us."""
        import httpx2
        from huggingface_hub import errors as hub

        host = self._host
        match error:
            case EngineError():
                return error
            case TimeoutError():  # the client's own is one too
                return EngineTimedOut(
                    f"{host} did not answer within {self._options.timeout_seconds:g} s"
                )
            case hub.HfHubHTTPError():
                return self._answered(error.response)
            case httpx2.ConnectError():
                return EngineUnavailable(f"{host} {why_unconnected(error)}").unspent()
            case httpx2.HTTPError() | hub.OfflineModeIsEnabled():
                return EngineUnavailable(f"{host} broke off the connection")
            case UnidentifiedImageError():
                return EngineUnavailable(f"{host} answered with something else than a picture")
            case ValueError() if "not supported" in str(error) or "No provider" in str(error):
                return EngineError(
                    f"{host} does not draw with {self._options.shown}: choose another "
                    "options.provider or options.model"
                )
        return EngineUnavailable(f"{host} answered what cannot be read ({type(error).__name__})")

    def _answered(self, response: Any) -> EngineError:
        """Return what an answer with a status of failure is to us."""
        status, host, model = response.status_code, self._host, self._options.shown
        variable = self._options.variable or "that key_env names"
        if status in (400, 403, 422, 451) and _REFUSED.search(_words(response)):
            return ContentRefused(f"{host} refuses to draw this prompt", param="prompt")
        known = {
            401: f"{host} wants a good key; set the variable {variable} to one",
            402: f"the account at {host} has no credit left; look at its billing",
            403: f"{host} does not let the key of {variable} draw with {model}",
            404: f"{host} has no model {model}, or it has ended; choose another in options.model",
            410: f"{host} has no model {model} any more; choose another in options.model",
        }
        if status in known:
            return EngineError(known[status])
        if status == 429:
            wait = seconds_of(response.headers.get("retry-after", ""))
            return EngineRateLimited(
                f"{host} asks to be called less often",
                retry_after_seconds=None
                if wait is None
                else min(max(wait, 0), LONGEST_WAIT_SECONDS),
            )
        if status in (408, 504, 524):
            return EngineTimedOut(f"{host} answered {status}: it took too long")
        if status >= 500:
            loading = " while the model is loading" if "loading" in _words(response) else ""
            return EngineUnavailable(f"{host} answered {status}{loading}")
        return EngineError(
            f"{host} answered {status}: it does not take what is asked; see the options size, seed, "
            "steps, guidance and parameters"
        )


def _file_of(image: Any) -> bytes:
    """Return the file that a picture was opened from, as it came."""
    if isinstance(getattr(image, "fp", None), io.BytesIO):
        return bytes(image.fp.getvalue())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _words(response: Any) -> str:
    """Return the body of an answer, or "" where it was not read."""
    import httpx2

    try:
        return str(response.text)[:10_000]
    except httpx2.StreamError:
        return ""
