"""What drawing a picture used, as whoever drew it counts."""

from pydantic import BaseModel, ConfigDict, Field


class Usage(BaseModel):
    """What was used for one picture; what its provider does not tell is left out."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int | None = Field(None, ge=0, description="Tokens that were read.")
    output_tokens: int | None = Field(None, ge=0, description="Tokens that were drawn.")
    cost_usd: str | None = Field(
        None, pattern=r"^[0-9]+(\.[0-9]+)?$", description="US dollars, a decimal number."
    )
