"""The dialects of OpenAI's image API: who takes what. The table is `dialects.toml` beside this file.

A gateway's options are a `Target`: what they leave out is as the table has it for their dialect, and
what the table leaves out is as here. So a server that nobody has heard of is described in its row.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, field_validator

from gouache.addresses import web_address
from gouache.contract import SIZES, Quality
from gouache.engines import read_options
from gouache.errors import SettingsError
from gouache.given import Given, resembling

UNKNOWN = "other"
OURS = {"model", "n", "prompt", "stream"}
"""What is sent only as it follows from the request."""

Shape = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}[x:][1-9][0-9]{0,4}$")]
"""A size like 1024x1792, or an aspect ratio like 9:16."""


def _as_api(url: str) -> str:
    """Refuse what is not just an address, and take the slash from its end."""
    if {"?", "#"} & set(web_address(url)):
        raise ValueError("must be an address without ? and #")
    return url.rstrip("/")


class Target(Given):
    """Where pictures are drawn by OpenAI's image dialect, and what is taken there."""

    model_config = ConfigDict(extra="forbid")

    dialect: str = Field(UNKNOWN, description="A row of the table of dialects.")
    base_url: Annotated[str, AfterValidator(_as_api)] = Field(
        repr=False, description="The address of the API, like https://api.openai.com/v1."
    )
    api_version: str = Field(
        "",
        pattern=r"^[0-9A-Za-z.-]*$",
        description="Azure's `api-version`: the model becomes part of the address.",
    )
    key_env: str = Field(
        "",
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        examples=["OPENAI_API_KEY"],
        description="The variable that holds the key; empty where none is wanted.",
    )
    key_header: Literal["authorization", "api-key"] = Field(
        "authorization", description="The header that the key is sent in."
    )
    models: tuple[str, ...] = Field(
        min_length=1, description="Models that may be asked for; the first is `dall-e-3`."
    )
    timeout_seconds: float = Field(
        280,
        gt=0,
        allow_inf_nan=False,
        description="How long one picture may take; less than the row's own.",
    )
    max_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, description="The largest picture that is received."
    )
    size_as: Literal["size", "width_height", "aspect_ratio"] = Field(
        "size", description="How the size is said."
    )
    sizes: tuple[Shape, ...] = Field(
        SIZES, min_length=1, description="What is drawn there; others are made from the nearest."
    )
    sizes_of: dict[str, tuple[Shape, ...]] = Field(
        {}, description="The sizes of models whose names begin so."
    )
    quality: dict[Quality, dict[str, Any]] = Field(
        {}, description="What is sent for each quality; left out, qualities are the same there."
    )
    response_format: str = Field(
        "b64_json", description="What is sent as such; nothing to models named gpt-image."
    )
    seed: bool = Field(False, description="Whether a seed is taken.")
    partial_images: int = Field(
        0, ge=0, le=3, description="Previews to ask for; with any, the answer is streamed."
    )
    max_prompt: int = Field(
        4000, ge=1, description="Characters of a prompt; what is longer is cut, with a warning."
    )
    reserved: str = Field("", description="Characters with a meaning of their own; sent as commas.")
    parameters: dict[str, Any] = Field({}, description="Whatever else is sent; it wins.")

    @field_validator("parameters")
    @classmethod
    def _leave_to_us_what_is_ours(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if found := OURS & set(parameters):
            raise ValueError(f"must not have {', '.join(sorted(found))}")
        return parameters

    @property
    def provider(self) -> str:
        """Whose it is: a dialect where that is spoken at its own address, else unknown."""
        return _spoken_at(self.base_url)

    def shape_for(self, model: str, size: str) -> str:
        """Return the shape that is drawn for a size: the nearest in proportion, then large enough."""
        begins = sorted((name for name in self.sizes_of if model.startswith(name)), key=len)
        shapes = self.sizes_of[begins[-1]] if begins else self.sizes
        wanted, area = _ratio(size), math.prod(_sides(size))

        def farness(shape: str) -> tuple[float, bool, int]:
            here = math.prod(_sides(shape))
            return round(abs(math.log(_ratio(shape) / wanted)), 6), here < area, abs(here - area)

        return min(shapes, key=farness)


def read_target(options: Mapping[str, Any]) -> Target:
    """Return the target that a gateway's options describe; without any it is OpenAI.

    The variable of a provider's key is its default for that provider's hosts only: no key goes to
    an address that somebody else may have.

    Raises:
        SettingsError: an option is unknown or has a bad value; `param` is "options.<name>".
    """
    url = options.get("base_url")
    name = options.get("dialect") or _spoken_at(url)
    if name not in dialects():
        hint = resembling(str(name), dialects())
        known = ", ".join(dialects())
        raise SettingsError(
            f"options.dialect must be one of {known}{hint}", param="options.dialect"
        )
    row = dialects()[name]
    defaults = {field: row[field] for field in Target.model_fields if field in row}
    if isinstance(url, str) and _spoken_at(url) != name:
        defaults.pop("key_env", None)
    return read_options(Target, {**defaults, **options, "dialect": name})


@cache
def dialects() -> Mapping[str, Mapping[str, Any]]:
    """Return the table: the names of the dialects, each with what differs from `Target`."""
    return tomllib.loads((files("gouache.engines") / "dialects.toml").read_text())


def _spoken_at(url: object) -> str:
    """Return the dialect of a provider's address; without one it is OpenAI's."""
    if not isinstance(url, str):
        return "openai"
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:  # refused with all other bad options
        return UNKNOWN
    for name, row in dialects().items():
        for known in row.get("hosts", ()):
            if host == known or (known.startswith(".") and host.endswith(known)):
                return name
    return UNKNOWN


def _sides(shape: str) -> tuple[int, int]:
    width, height = re.split("[x:]", shape)
    return int(width), int(height)


def _ratio(shape: str) -> float:
    width, height = _sides(shape)
    return width / height
