"""The families of text-to-image pipelines: the sizes they draw well, and how they are best called.

A family is told by the name of its pipeline's class, a preset by the name of the model. What the
options of a gateway say wins over both.

Source: the model cards and the documentation of diffusers 0.42, one row each; `docs/engines.md`
shows the presets as rows of `gouache.toml`.
"""

import re
from dataclasses import dataclass

MEGAPIXEL = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Family:
    """How pipelines of some classes draw.

    `pixels` is the area they were trained for; None asks the model itself. Sides are multiples of
    `multiple`. `guidance` is the pipeline's name for the guidance.
    """

    name: str
    pixels: int | None
    multiple: int
    guidance: str = "guidance_scale"


@dataclass(frozen=True, slots=True)
class Preset:
    """The steps of both qualities and the guidance that a model's authors recommend.

    None leaves it to the pipeline.
    """

    standard: int | None
    hd: int | None
    guidance: float | None


FAMILIES = {
    r"StableDiffusion(PAG)?Pipeline": Family("SD", None, 64),
    r"LatentConsistencyModelPipeline": Family("SD", None, 64),
    r"StableDiffusionXL\w*": Family("SDXL", None, 64),
    r"StableDiffusion3\w*": Family("SD3", MEGAPIXEL, 64),
    r"Flux2\w*": Family("FLUX.2", 4 * MEGAPIXEL, 16),
    r"Flux\w*": Family("FLUX.1", 2 * MEGAPIXEL, 16),
    r"ZImage\w*": Family("Z-Image", 2 * MEGAPIXEL, 16),
    r"QwenImage\w*": Family("Qwen-Image", 2 * MEGAPIXEL, 16, guidance="true_cfg_scale"),
}
UNKNOWN = Family("other", None, 64)

PRESETS = {
    r"sdxl-turbo|sd-turbo": Preset(2, 4, 0.0),
    r"sdxl|stable-diffusion-xl": Preset(30, 50, 5.0),
    r"flux\.?2.*klein.*base": Preset(28, 50, 4.0),
    r"flux\.?2.*klein": Preset(4, 8, 1.0),
    r"flux\.?1.*schnell": Preset(4, 8, 0.0),
    r"z-?image-?turbo": Preset(9, 9, 0.0),
    r"qwen-?image": Preset(30, 50, 4.0),
}
"""By what the name of the model, in small letters, has in it; the first that fits."""

NO_PRESET = Preset(None, None, None)


def family_of(pipeline_class: str) -> Family:
    """Return the family of a pipeline by the name of its class."""
    return next(
        (family for name, family in FAMILIES.items() if re.fullmatch(name, pipeline_class)), UNKNOWN
    )


def preset_of(model: str) -> Preset:
    """Return the preset of a model by its name."""
    return next(
        (preset for name, preset in PRESETS.items() if re.search(name, model.lower())), NO_PRESET
    )
