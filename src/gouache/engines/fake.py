"""A deterministic engine without weights: for demonstrations, and for tests of everything else.

It draws a smooth pattern that depends on the prompt and the seed only. Nothing of the prompt is
understood, and it says so.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from gouache.contract import GenerateImage
from gouache.engines import (
    Capabilities,
    Drawing,
    OnStep,
    Pixels,
    Step,
    check_supported,
    choose_seed,
)
from gouache.settings import Settings

MODEL = "fake-1"
STEPS = {"standard": 4, "hd": 8}
PREVIEW_DIVISOR = 16

Waves = NDArray[np.float64]
"""(channel, across and down)"""


class FakeEngine:
    """Draws a pattern instead of a picture."""

    def __init__(self, settings: Settings) -> None:
        """Need nothing from the settings."""
        self.capabilities = Capabilities(
            models={"dall-e-3": MODEL, MODEL: MODEL}, styles=("flat", "cartoon")
        )

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Draw the pattern of this prompt and seed.

        Raises:
            UnsupportedByEngine: a field asks for what it cannot do.
            Cancelled: `on_step` raised it.
        """
        check_supported(request, self.capabilities)
        seed = choose_seed(request)
        key = f"{request.prompt}\n{request.style}\n{seed}"
        rng = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
        frequencies = rng.uniform(1.0, 4.0, (3, 2))
        phases = rng.uniform(0.0, 2 * np.pi, (3, 2))
        steps = STEPS[request.quality]
        for step in range(1, steps + 1):
            if on_step:
                height = request.height // PREVIEW_DIVISOR
                width = request.width // PREVIEW_DIVISOR
                on_step(Step(step, steps, _pattern(height, width, frequencies, phases)))
        return Drawing(
            pixels=_pattern(request.height, request.width, frequencies, phases),
            model=MODEL,
            seed=seed,
            revised_prompt=request.prompt,
            unresolved=tuple(dict.fromkeys(request.prompt.split())),
            warnings=("the fake engine draws a pattern, not what the prompt says",),
        )


def _pattern(height: int, width: int, frequencies: Waves, phases: Waves) -> Pixels:
    """Return (height, width, 3): in each channel the product of a wave across and a wave down."""
    y = np.linspace(0, np.pi, height)[:, None, None]
    x = np.linspace(0, np.pi, width)[None, :, None]
    waves = np.sin(x * frequencies[:, 0] + phases[:, 0]) * np.sin(
        y * frequencies[:, 1] + phases[:, 1]
    )
    pixels: Pixels = np.round(127.5 + 127.5 * waves).astype(np.uint8)
    return pixels
