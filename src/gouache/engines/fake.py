"""A deterministic engine without weights: for demonstrations, and for tests of everything else.

It draws a smooth pattern that depends on the prompt and the seed only. Nothing of the prompt is
understood, and it says so. Its models beside `fake-1` exist to rehearse what can go wrong:

- `fake-slow` takes `SLOW_SECONDS` for each step,
- `fake-failing` is never there,
- `fake-flaky` is not there for the first try of each prompt and seed in a process,
- `fake-limited` asks that first try to come again after `LIMITED_SECONDS`,
- `fake-refusing` refuses the prompt,
- `fake-crashing` ends its own process at once, as a crash would.
"""

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gouache.contract import GenerateImage
from gouache.engines import (
    Capabilities,
    Drawing,
    NoOptions,
    OnStep,
    Pixels,
    Step,
    check_supported,
    choose_seed,
    read_options,
)
from gouache.errors import ContentRefused, EngineRateLimited, EngineUnavailable
from gouache.settings import Settings

MODEL = "fake-1"
REHEARSALS = (
    "fake-slow",
    "fake-failing",
    "fake-flaky",
    "fake-limited",
    "fake-refusing",
    "fake-crashing",
)
STEPS = {"standard": 4, "hd": 8}
SLOW_SECONDS = 0.5
LIMITED_SECONDS = 0.5
PREVIEW_DIVISOR = 16

Waves = NDArray[np.float64]
"""(channel, across and down)"""


class FakeEngine:
    """Draws a pattern instead of a picture."""

    _tried: ClassVar[set[tuple[str, str, int | None]]] = set()

    def __init__(
        self, settings: Settings, options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Need nothing from the settings, and take no options."""
        read_options(NoOptions, options)
        self.capabilities = Capabilities(
            models={"dall-e-3": MODEL, **{model: model for model in (MODEL, *REHEARSALS)}},
            styles=("flat", "cartoon"),
            provider=None,
        )

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Draw the pattern of this prompt and seed.

        Raises:
            UnsupportedByEngine: a field asks for what it cannot do.
            EngineUnavailable: the model is one that fails.
            EngineRateLimited: the model is the one that is called too often.
            ContentRefused: the model is the one that refuses.
            Cancelled: `on_step` raised it.
        """
        check_supported(request, self.capabilities)
        self._rehearse(request)
        seed = choose_seed(request)
        key = f"{request.prompt}\n{request.style}\n{seed}"
        rng = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
        frequencies = rng.uniform(1.0, 4.0, (3, 2))
        phases = rng.uniform(0.0, 2 * np.pi, (3, 2))
        steps = STEPS[request.quality]
        for step in range(1, steps + 1):
            if request.model == "fake-slow":
                time.sleep(SLOW_SECONDS)
            if on_step:
                height = request.height // PREVIEW_DIVISOR
                width = request.width // PREVIEW_DIVISOR
                on_step(Step(step, steps, _pattern(height, width, frequencies, phases)))
        return Drawing(
            pixels=_pattern(request.height, request.width, frequencies, phases),
            model=self.capabilities.models[request.model],
            seed=seed,
            revised_prompt=request.prompt,
            unresolved=tuple(dict.fromkeys(request.prompt.split())),
            warnings=("the fake engine draws a pattern, not what the prompt says",),
        )

    def close(self) -> None:
        """Hold nothing."""

    def _rehearse(self, request: GenerateImage) -> None:
        """Fail as the model is meant to."""
        match request.model:
            case "fake-failing":
                raise EngineUnavailable("the model fake-failing is never there; use fake-1")
            case "fake-flaky" if self._is_first_try(request):
                raise EngineUnavailable("the model fake-flaky is there the next time")
            case "fake-limited" if self._is_first_try(request):
                raise EngineRateLimited(
                    f"the model fake-limited is there again in {LIMITED_SECONDS:g} s",
                    retry_after_seconds=LIMITED_SECONDS,
                )
            case "fake-refusing":
                raise ContentRefused("the model fake-refusing draws no prompt", param="prompt")
            case "fake-crashing":
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_first_try(self, request: GenerateImage) -> bool:
        key = (request.model, request.prompt, request.seed)
        is_first = key not in self._tried
        self._tried.add(key)
        return is_first


def _pattern(height: int, width: int, frequencies: Waves, phases: Waves) -> Pixels:
    """Return (height, width, 3): in each channel the product of a wave across and a wave down."""
    y = np.linspace(0, np.pi, height)[:, None, None]
    x = np.linspace(0, np.pi, width)[None, :, None]
    waves = np.sin(x * frequencies[:, 0] + phases[:, 0]) * np.sin(
        y * frequencies[:, 1] + phases[:, 1]
    )
    pixels: Pixels = np.round(127.5 + 127.5 * waves).astype(np.uint8)
    return pixels
