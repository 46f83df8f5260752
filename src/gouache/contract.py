"""The `generate_image` request: one frozen object from the surface all the way into the file.

Field names, values and defaults are those of the `generate_image` task, so that requests written
for it keep working; `seed` and `style` are our additions. Defaults live here and nowhere else.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from gouache.errors import RequestError

Size = Literal["1024x1024", "1024x1792", "1792x1024"]
Quality = Literal["standard", "hd"]

SIZES: tuple[Size, ...] = get_args(Size)
QUALITIES: tuple[Quality, ...] = get_args(Quality)
MAX_CHARACTERS = {"prompt": 32_000, "model": 200, "filename": 1000, "style": 50}
MAX_SEED = 2**32 - 1


def _true_or_false(value: object) -> bool:
    """Read a field that is documented as a string and used as a boolean."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError('must be true, "true", false or "false"')


class GenerateImage(BaseModel):
    """What to draw. Unknown fields are kept, and named by `warnings`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    prompt: str = Field(
        min_length=1, max_length=MAX_CHARACTERS["prompt"], description="What the picture shows."
    )
    model: str = Field(
        "dall-e-3",
        min_length=1,
        max_length=MAX_CHARACTERS["model"],
        description="The model to draw with; each engine maps the default to a model it has.",
    )
    size: Size = Field("1024x1024", description="Width x height in pixels.")
    quality: Quality = Field("standard", description="`hd` takes longer.")
    filename: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["filename"],
        description="The name of the file; made safe, with the extension of what is in it.",
    )
    disable_model_response: Annotated[bool, BeforeValidator(_true_or_false)] = Field(
        False, description="Whether the finished picture is not posted on the stub."
    )
    seed: StrictInt | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="The same seed draws the same picture; a new one is chosen without it.",
    )
    style: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["style"],
        description="A style of the engine; without it the prompt decides.",
    )

    @property
    def width(self) -> int:
        """The width in pixels."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """The height in pixels."""
        return int(self.size.split("x")[1])

    def warnings(self) -> list[str]:
        """Return one sentence for each unknown field, with the known field it resembles."""
        sentences = []
        for name in self.model_extra or {}:
            near = difflib.get_close_matches(name, type(self).model_fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            sentences.append(f"{name!r} is not a field of generate_image and was ignored{hint}")
        return sentences


def read_request(params: Mapping[str, Any]) -> GenerateImage:
    """Return the request that `params` describes.

    Raises:
        RequestError: a field is missing or has a bad value; `param` names the first such field, and
            the message names each with the values it allows.
    """
    try:
        return GenerateImage.model_validate(dict(params))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        message = "; ".join(_sentence(problem) for problem in problems)
        raise RequestError(message, param=str(problems[0]["loc"][0])) from error


def _sentence(problem: Mapping[str, Any]) -> str:
    """Return one validation problem as a sentence that begins with the field."""
    name = str(problem["loc"][0])
    given = problem["input"]
    shown = repr(given) if len(repr(given)) <= 60 else repr(given)[:57] + "..."
    match problem["type"]:
        case "missing":
            return f"{name} is required"
        case "literal_error":
            allowed = ", ".join({"size": SIZES, "quality": QUALITIES}[name])
            return f"{name} must be one of {allowed}; not {shown}"
        case "string_too_short" | "string_too_long":
            most = MAX_CHARACTERS[name]
            return f"{name} must be 1 to {most:,} characters; this one has {len(given):,}"
        case "greater_than_equal" | "less_than_equal" | "int_type":
            return f"{name} must be a whole number from 0 to {MAX_SEED}; not {shown}"
        case "string_type":
            return f"{name} must be text; not {shown}"
        case "string_unicode":
            return f"{name} is not valid Unicode text"
        case "value_error":
            return f"{name} {problem['ctx']['error']}; not {shown}"
        case _:
            return f"{name}: {problem['msg']}; not {shown}"
