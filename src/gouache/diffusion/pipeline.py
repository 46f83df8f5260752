"""From a scene and its caption to pixels.

Caption and scene become conditioning; the sampler walks from noise, which the seed alone decides,
to a small picture; the upscaler makes it eight times larger. The small picture of a scene with small
things is larger by half, for the denoiser paints small things badly, and is brought to the same size in
the end. The guide goes into the denoiser as conditioning and nowhere else (`tests/test_pipeline.py`
proves it).

Pictures are (H, W, 3) uint8 sRGB; inside they are (1, 3, H, W) float32 in [-1, 1].
"""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gouache.diffusion import guide, weights
from gouache.diffusion.denoiser import Conditioning, Denoiser
from gouache.diffusion.graphs import Runtime
from gouache.diffusion.sampling import ancestral, euler, guided, heun, watched
from gouache.diffusion.schedule import time_grid
from gouache.diffusion.text_encoder import TextEncoder
from gouache.diffusion.upscaler import Upscaler
from gouache.scene import SHAPES, Scene

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]
OnStep = Callable[[int, int, Pixels], None]
"""Called with the denoiser steps done, those to do in all, and a small picture of it so far."""

SAMPLERS = ("ancestral", "euler", "heun")

GRID = 64
"""The shorter side is a multiple of it, so that the denoiser's coarsest cells fit into every shape."""

SMALL = 0.5
"""Length, of the canvas' shorter side, below which a thing asks for a larger picture."""


class Pipeline:
    """A model with everything it needs to draw. Threads take turns: two at once would be slower."""

    def __init__(
        self,
        model: weights.Model,
        *,
        text_encoder: TextEncoder,
        references: guide.References,
        denoiser: Callable[[Array, float, Conditioning], Array],
        upscaler: Callable[[Array], Array],
    ) -> None:
        """Put a pipeline together; `Pipeline.open` does it for a folder."""
        self.model = model
        self.text_encoder = text_encoder
        self.references = references
        self._denoiser = denoiser
        self._upscaler = upscaler
        self._turn = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, threads: int = 0, cache_dir: Path | None = None) -> "Pipeline":
        """Open the model in a folder; its graphs are compiled when they are first needed.

        Raises:
            WeightsUnusable: there is no whole model in the folder.
        """
        model = weights.open_model(folder)
        runtime = Runtime(threads, cache_dir)
        return cls(
            model,
            text_encoder=TextEncoder(
                model.path(weights.TEXT_ENCODER), model.path(weights.TOKENIZER), runtime=runtime
            ),
            references=guide.References(
                model.path(weights.CONCEPTS), model.path(weights.REFERENCES)
            ),
            denoiser=Denoiser(model.path(weights.DENOISER), runtime=runtime),
            upscaler=Upscaler(model.path(weights.UPSCALER), runtime=runtime),
        )

    def __call__(
        self,
        scene: Scene,
        caption: str,
        *,
        num_inference_steps: int,
        guidance_scale: float | None = None,
        seed: int,
        on_step: OnStep | None = None,
    ) -> Pixels:
        """Draw a scene: (1024, 1024, 3) for a square one, (1792, 1024, 3) tall, (1024, 1792, 3) wide.

        `guidance_scale` None takes the model's own. What `on_step` raises stops the drawing.
        """
        with self._turn:
            x0 = self.sample(
                self.condition(scene, caption),
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
                seed=seed,
                on_step=on_step,
            )
            large = self._upscaler(x0)
            is_larger = min(x0.shape[2:]) > self.model.drawing.side
            return to_pixels(reduced(large) if is_larger else large)

    def condition(self, scene: Scene, caption: str) -> Conditioning:
        """Return what the denoiser is told of a scene and its caption, for a batch of one."""
        height, width = size(scene.shape, side_for(scene, self.model.drawing.side))
        tokens, token_mask = self.text_encoder.states([caption])
        scene = self.references.own_colours(scene)
        pasted = guide.guide(scene, self.references, height=height, width=width)
        listed = guide.entries(scene, height=height, width=width)
        phrases, coverage = guide.layout(listed, self.text_encoder.vectors)
        return Conditioning(tokens, token_mask, pasted[None], phrases[None], coverage[None])

    def sample(
        self,
        cond: Conditioning,
        *,
        num_inference_steps: int,
        guidance_scale: float | None = None,
        seed: int,
        on_step: OnStep | None = None,
    ) -> Array:
        """Return the denoiser's small picture for some conditioning: (1, 3, H, W)."""
        drawing = self.model.drawing
        scale = drawing.guidance_scale if guidance_scale is None else guidance_scale
        uncond = cond.without_scene(*self.text_encoder.states([""]))
        denoise = guided(self._denoiser, cond, uncond, scale)
        if on_step is not None:
            calls = (
                2 * num_inference_steps - 1 if drawing.sampler == "heun" else num_inference_steps
            )
            report = on_step
            denoise = watched(denoise, lambda done, x0: report(done, calls, to_pixels(x0)))
        cells_down, cells_across = cond.coverage.shape[2:]
        noise = starting_noise(seed, height=8 * cells_down, width=8 * cells_across)
        ts = time_grid(num_inference_steps, shift=drawing.shift)
        if drawing.sampler == "ancestral":
            return ancestral(denoise, noise, ts, rng=np.random.default_rng([seed, 1]))
        return (heun if drawing.sampler == "heun" else euler)(denoise, noise, ts)

    def undrawn(self, scene: Scene) -> dict[str, str | None]:
        """Return the concepts without a reference in the scene's style, and the style taken instead."""
        taken = {i.concept: self.references.style_for(i.concept, scene.style) for i in scene.items}
        return {concept: style for concept, style in taken.items() if style != scene.style}


def size(shape: str, side: int) -> tuple[int, int]:
    """Return height and width of a picture of a scene's shape whose shorter side is `side`."""
    across, down = SHAPES[shape]
    unit = side // min(across, down)
    return unit * down, unit * across


def side_for(scene: Scene, side: int) -> int:
    """Return the shorter side of the denoiser's picture of a scene, where it is `side` for large things.

    Half as long again where a thing is small, if the denoiser's grids allow it.
    """
    across, down = SHAPES[scene.shape]
    short = min(across, down)
    lengths = [max(i.box.w * across, i.box.h * down) / short for i in scene.items]
    is_small = any(length < SMALL for length in lengths)
    return 3 * side // 2 if is_small and 3 * side // 2 % GRID == 0 else side


def reduced(x: Array) -> Array:
    """Return (1, 3, H, W) at two thirds of its size, each pixel the mean of what it covers."""
    for axis in (2, 3):
        first, middle, last = (np.take(x, range(k, x.shape[axis], 3), axis) for k in range(3))
        pair = np.stack([2 * first + middle, middle + 2 * last], axis + 1) / np.float32(3)
        x = pair.reshape([2 * n if k == axis else n for k, n in enumerate(first.shape)])
    return x


def starting_noise(seed: int, *, height: int, width: int) -> Array:
    """Return the noise a picture starts from: (1, 3, height, width), standard normal."""
    return np.random.default_rng(seed).standard_normal((1, 3, height, width), np.float32)


def to_pixels(x: Array) -> Pixels:
    """Turn (1, 3, H, W) in [-1, 1] into (H, W, 3) uint8, cutting off what lies beyond."""
    scaled: Array = np.rint((x[0].transpose(1, 2, 0) + 1) * 127.5)
    return scaled.clip(0, 255).astype(np.uint8)
