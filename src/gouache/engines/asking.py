"""What the options of several engines have in common: steps and guidance by quality."""

from pydantic import Field

from gouache.given import Given


class Steps(Given, extra="forbid"):
    """Steps by quality; None leaves them to the model."""

    standard: int | None = Field(None, ge=1, le=1000)
    hd: int | None = Field(None, ge=1, le=1000)


class Guidance(Given, extra="forbid"):
    """Guidance by quality; None leaves it to the model."""

    standard: float | None = Field(None, ge=0, le=100)
    hd: float | None = Field(None, ge=0, le=100)
