"""What pictures cost: a table that we keep (`prices.toml`), and what a gateway's row says otherwise.

Money is whole micro-dollars; what is not whole is rounded up.
"""

import tomllib
from datetime import date
from decimal import ROUND_CEILING, Decimal
from functools import cache
from importlib.resources import files

from pydantic import Field

from gouache.contract import GenerateImage
from gouache.rows import Price
from gouache.usage import Usage

MICROS = 1_000_000
FREE = Price(image_usd=Decimal(0))
"""What this machine draws."""


class KnownPrice(Price):
    """What a model costs at a provider, as far as it is known to us."""

    provider: str = Field(description="Who draws.")
    model: str = Field(description="The name it is asked for by.")
    source: str = Field(description="Where that is said.")
    checked: date = Field(description="When it was looked up.")


@cache
def known_prices() -> dict[tuple[str, str], KnownPrice]:
    """Return the table by provider and model."""
    table = tomllib.loads((files("gouache") / "prices.toml").read_text())
    rows = map(KnownPrice.model_validate, table["prices"])
    return {(row.provider, row.model): row for row in rows}


def micros(usd: Decimal) -> int:
    """Return US dollars as micro-dollars."""
    return int((usd * MICROS).to_integral_value(ROUND_CEILING))


def as_usd(amount: int) -> str:
    """Return micro-dollars as US dollars, a decimal number with two to six places."""
    sign, (whole, part) = "-" * (amount < 0), divmod(abs(amount), MICROS)
    return f"{sign}{whole}.{f'{part:06}'.rstrip('0').ljust(2, '0')}"


def cost(price: Price | None, request: GenerateImage, usage: Usage | None) -> int | None:
    """Return what a picture cost; None where nobody can tell.

    What its provider says wins; then its tokens at their price; then the price of a picture.
    """
    if usage is not None and usage.cost_usd is not None:
        return micros(Decimal(usage.cost_usd))
    if price is None:
        return None
    tokens = _of_tokens(price, usage or Usage())
    return _of_picture(price, request) if tokens is None else tokens


def most(price: Price | None, request: GenerateImage) -> int | None:
    """Return the most that a picture can cost; None where nobody can tell."""
    if price is None:
        return None
    return (
        micros(price.at_most_usd) if price.at_most_usd is not None else _of_picture(price, request)
    )


def _of_tokens(price: Price, usage: Usage) -> int | None:
    if None in (price.output_usd, usage.input_tokens, usage.output_tokens):
        return None
    read = (usage.input_tokens or 0) * (price.input_usd or Decimal(0))
    drawn = (usage.output_tokens or 0) * (price.output_usd or Decimal(0))
    return micros((read + drawn) / MICROS)


def _of_picture(price: Price, request: GenerateImage) -> int | None:
    usd = price.images_usd.get(f"{request.size} {request.quality}", price.image_usd)
    return None if usd is None else micros(usd)
