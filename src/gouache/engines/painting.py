"""A batch of pictures by one call of a pipeline of diffusers.

Each picture has a generator of its own, on the processor, so that it depends on its seed and not on
its neighbours or the device.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gouache.contract import Quality
from gouache.engines import Pixels, Step
from gouache.engines.batching import Ticket
from gouache.engines.families import Family, family_of
from gouache.engines.fitting import fit, nearest_native
from gouache.engines.previews import Projection, as_grid
from gouache.errors import ContentRefused, EngineError, GouacheError

TILED = "the decoder worked in tiles, for there was too little memory"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One picture: what is in it, and with which seed."""

    prompt: str
    seed: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What the pictures of a batch have in common; steps and guidance may be left to the pipeline."""

    width: int
    height: int
    quality: Quality
    steps: int | None
    guidance: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A picture in the size asked for; `unread` are the words that the model did not read."""

    pixels: Pixels
    unread: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Order = Ticket[Wanted, Painted]


class Abandoned(Exception):
    """Nobody waits for any picture of the batch."""


class Painter:
    """Draws with a pipeline that is in memory."""

    def __init__(self, pipe: Any, projection: Projection) -> None:
        """Learn how the pipeline is called; `projection` outlives it."""
        self._pipe = pipe
        self._projection = projection
        self._takes: Mapping[str, inspect.Parameter] = inspect.signature(pipe.__call__).parameters
        self.family: Family = family_of(type(pipe).__name__)
        self._pixels = self.family.pixels or _trained_pixels(pipe)

    def paint(
        self, kind: Kind, orders: Sequence[Order], *, in_tiles: bool = False
    ) -> list[Painted | GouacheError]:
        """Return the pictures, or for each why there is none; steps are told to the orders.

        Raises:
            Abandoned: nobody waits any more.
            EngineError: the numbers overflowed.
            Exception: whatever the pipeline raises.
        """
        width, height = nearest_native(
            kind.width, kind.height, pixels=self._pixels, multiple=self.family.multiple
        )
        watch = _Watch(orders, self._projection, kind.steps, width, height)
        call = self._call(kind, orders, watch) | {"width": width, "height": height}
        with _tiles(self._pipe, in_tiles):
            done = self._pipe(**call)
        flagged = getattr(done, "nsfw_content_detected", None) or [False] * len(orders)
        painted: list[Painted | GouacheError] = []
        for index, order in enumerate(orders):
            if flagged[index]:
                painted.append(
                    ContentRefused("the model's own filter refuses the picture", param="prompt")
                )
                continue
            picture = _as_pixels(done.images[index])
            if watch.latents is not None:
                watch.learn(index, picture)
            pixels, warnings = fit(picture, kind.width, kind.height)
            unread = self._unread(order.item.prompt)
            painted.append(Painted(pixels, unread, warnings + ((TILED,) if in_tiles else ())))
        return painted

    def _call(self, kind: Kind, orders: Sequence[Order], watch: "_Watch") -> dict[str, Any]:
        """Return what the pipeline is called with, of what it takes."""
        import torch

        generators = [torch.Generator("cpu").manual_seed(order.item.seed) for order in orders]
        call: dict[str, Any] = {
            "prompt": [order.item.prompt for order in orders],
            "generator": generators,
            "num_inference_steps": kind.steps,
            self.family.guidance: kind.guidance,
            "output_type": "np",
            "callback_on_step_end": watch,
        }
        if self.family.guidance == "true_cfg_scale" and (kind.guidance or 0) > 1:
            call["negative_prompt"] = [" "] * len(orders)  # else the guidance is ignored
        return {
            name: value for name, value in call.items() if value is not None and name in self._takes
        }

    def _unread(self, prompt: str) -> tuple[str, ...]:
        """Return the words at the end of a prompt that no text encoder of the pipeline reads."""
        ends = [
            _read_characters(prompt, tokenizer, self._most_tokens(name, tokenizer))
            for name, tokenizer in self._pipe.components.items()
            if name.startswith("tokenizer") and tokenizer is not None
        ]
        return tuple(dict.fromkeys(prompt[max(ends, default=len(prompt)) :].split()))

    def _most_tokens(self, name: str, tokenizer: Any) -> int:
        """Return how many tokens one of the tokenizers passes on."""
        most = min(int(tokenizer.model_max_length), 1_000_000)
        asked = self._takes.get("max_sequence_length")
        is_clip = "CLIP" in type(tokenizer).__name__
        return most if asked is None or is_clip else min(most, int(asked.default))


class _Watch:
    """What the pipeline calls after each step: it reports, and stops what nobody waits for."""

    def __init__(
        self,
        orders: Sequence[Order],
        projection: Projection,
        steps: int | None,
        width: int,
        height: int,
    ) -> None:
        self.latents: Any = None
        self._orders = orders
        self._projection = projection
        self._steps = steps
        self._width = width
        self._height = height

    def __call__(
        self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        if all(order.is_abandoned for order in self._orders):
            raise Abandoned
        self.latents = tensors.get("latents")
        steps = max(getattr(pipe, "num_timesteps", None) or self._steps or 0, step + 1)
        for index, order in enumerate(self._orders):
            if order.wants_steps and not order.is_abandoned:
                order.tell(Step(step + 1, steps, self._preview(index)))
        return {}

    def learn(self, index: int, picture: Pixels) -> None:
        """Let the projection learn from a finished picture."""
        grid = self._grid(index)
        if grid is not None:
            self._projection.learn(grid, picture)

    def _preview(self, index: int) -> Pixels | None:
        if self.latents is None or not self._projection.is_ready:
            return None
        grid = self._grid(index)
        return None if grid is None else self._projection.preview(grid)

    def _grid(self, index: int) -> Any:
        latents = self.latents[index].float().cpu().numpy()
        return as_grid(latents, width=self._width, height=self._height)


@contextmanager
def _tiles(pipe: Any, wanted: bool) -> Iterator[None]:
    """Let the decoder work in tiles for a while, which takes less memory."""
    vae: Any = getattr(pipe, "vae", None)
    if not wanted or not hasattr(vae, "enable_tiling"):
        yield
        return
    vae.enable_tiling()
    try:
        yield
    finally:
        vae.disable_tiling()


def _trained_pixels(pipe: Any) -> int:
    """Return the area of the pictures a pipeline was trained with, as it says."""
    side = getattr(getattr(getattr(pipe, "unet", None), "config", None), "sample_size", None)
    side = side or getattr(pipe, "default_sample_size", None) or 128
    if isinstance(side, Sequence):
        side = max(side)
    return int(side * getattr(pipe, "vae_scale_factor", 8)) ** 2


def _read_characters(prompt: str, tokenizer: Any, most: int) -> int:
    """Return how many characters of a prompt its first tokens hold."""
    if not getattr(tokenizer, "is_fast", False):
        return len(prompt)
    found = tokenizer(prompt, return_offsets_mapping=True, truncation=True, max_length=most)
    return max((end for _, end in found["offset_mapping"]), default=len(prompt))


def _as_pixels(picture: Any) -> Pixels:
    """Return a picture as bytes, of numbers from 0 to 1."""
    if not np.isfinite(picture).all():
        raise EngineError(
            "the model's numbers overflowed: set options.dtype to bfloat16 or float32"
        )
    pixels: Pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return pixels
