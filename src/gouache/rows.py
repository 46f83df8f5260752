"""Rows in the settings: of the gateways, what each draws with and within which limits; of the keys."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gouache.contract import QUALITIES, SIZES
from gouache.given import refused

KEY_NAME = r"^[a-z][a-z0-9_-]{0,49}$"
GatewayName = Annotated[str, StringConstraints(pattern=KEY_NAME)]
KeyName = Annotated[str, StringConstraints(pattern=KEY_NAME)]

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
_PICTURE = rf"^({'|'.join(SIZES)}) ({'|'.join(QUALITIES)})$"
SizeAndQuality = Annotated[str, StringConstraints(pattern=_PICTURE)]


class ModelLife(BaseModel):
    """Until when there is a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ends: date | None = Field(None, description="The last day; without it no end is known.")
    replacement: str = Field("", description="What to use then.")


class Price(BaseModel):
    """What a model costs, in US dollars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_usd: Usd | None = Field(None, description="One picture.")
    images_usd: dict[SizeAndQuality, Usd] = Field(
        {}, description="One picture by size and quality, as `1024x1024 hd`."
    )
    input_usd: Usd | None = Field(None, description="A million tokens that are read.")
    output_usd: Usd | None = Field(None, description="A million tokens that are drawn.")
    at_most_usd: Usd | None = Field(
        None, description="The most one picture can cost, where tokens or the provider say it."
    )


class Gateway(BaseModel):
    """A row of the gateways: what draws the tasks that name it, and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    taskapigatewayuuid: UUID = Field(description="The UUID by which tasks name it.")
    engine: str = Field("embedded", description="The engine that draws.")
    models: dict[str, str] = Field(
        {}, description="Names tasks may ask for, each with the engine's model for it."
    )
    options: dict[str, Any] = Field({}, description="What the engine is told; see each engine.")
    concurrency: int = Field(1, ge=1, le=1000, description="Tasks at once in one worker.")
    total_concurrency: int | None = Field(
        None, ge=1, description="Tasks at once in all workers together."
    )
    rate_limit: int | None = Field(
        None, ge=1, description="Tries begun per `rate_period_seconds`, in all workers together."
    )
    rate_period_seconds: float = Field(
        60, gt=0, allow_inf_nan=False, description="The period of the rate limit."
    )
    timeout_seconds: float = Field(
        300, gt=0, allow_inf_nan=False, description="How long one try may take."
    )
    tries: int = Field(3, ge=1, le=20, description="Tries before a retryable failure is final.")
    retry_seconds: float = Field(
        2,
        ge=0,
        allow_inf_nan=False,
        description="The wait before the second try; it doubles each time, to 60 at most.",
    )

    fallback: list[GatewayName] = Field(
        [], description="The gateways that take over, in this order, where it cannot draw now."
    )
    cache: bool | None = Field(
        None,
        description="Whether the same request gets the picture drawn before; without it, where it "
        "has a seed.",
    )
    model_life: dict[str, ModelLife] = Field(
        {}, description="When models end, where it is not what `gouache models` shows."
    )

    prices: dict[str, Price] = Field(
        {}, description="What models cost, where it is not what `prices.toml` has."
    )
    budget_usd: Usd | None = Field(
        None, description="US dollars that may be spent in a period; without it, any."
    )
    budget_period: Literal["day", "month"] = Field(
        "month", description="The period of the budget, in UTC."
    )

    @model_validator(mode="after")
    def _total_is_the_larger(self) -> "Gateway":
        if self.total_concurrency is not None and self.total_concurrency < self.concurrency:
            sentence = f"must be at least the row's concurrency, {self.concurrency}"
            raise refused(type(self), "total_concurrency", sentence)
        return self


class NamedKey(BaseModel):
    """A row of the keys: how the key of a caller is known again, and what may be spent with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_env: str = Field(
        "",
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        examples=["SHOP_KEY"],
        repr=False,  # who mistakes it for the key itself is not to read it in a log
        description="The variable that holds the key.",
    )
    sha256: str = Field(
        "",
        pattern="^([0-9a-f]{64})?$",
        repr=False,
        description="The SHA-256 of the key in hexadecimal, in place of `key_env`.",
    )
    budget_usd: Usd | None = Field(
        None, description="US dollars that may be spent in a period; without it, any."
    )
    budget_period: Literal["day", "month"] = Field(
        "month", description="The period of the budget, in UTC."
    )

    @model_validator(mode="after")
    def _is_known_by_one_of_both(self) -> "NamedKey":
        if bool(self.key_env) == bool(self.sha256):
            sentence = "or sha256 must say how the key is known: one of both"
            raise refused(type(self), "key_env", sentence)
        return self
