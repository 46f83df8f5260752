"""Samplers: walk from noise to a picture along an increasing list of times.

A *denoiser* is any callable `denoise(x, t) -> x0`, the predicted clean picture. With
x = t * x0 + (1 - t) * noise the flow is dx/dt = (x0 - x) / (1 - t), which the samplers integrate.

Shapes: x and x0 are (B, C, H, W) float32; t is a float from 0 (noise) to 1 (clean); ts is (N+1,),
strictly increasing, from 0 to 1.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Denoise = Callable[[Array, float], Array]
Condition = TypeVar("Condition")


def euler(denoise: Denoise, x: Array, ts: Sequence[float]) -> Array:
    """Integrate the flow with first-order steps, one denoiser call each.

    Source: Lipman et al. 2023 (arXiv:2210.02747) for the flow; Li and He 2025 (arXiv:2511.13720),
    equation 6, for the velocity of a denoiser that predicts the clean picture.
    """
    for t, t_next in zip(ts[:-1], ts[1:], strict=True):
        x0 = denoise(x, t)
        if t_next == 1:
            return x0  # what the step comes to, without dividing a small number by another
        dt = np.float32(t_next - t)
        v = (x0 - x) / np.float32(1 - t)  # dx/dt
        x = np.asarray(x + dt * v, np.float32)
    return x


def heun(denoise: Denoise, x: Array, ts: Sequence[float]) -> Array:
    """Integrate the flow with second-order steps: two denoiser calls each, one for the last.

    Source: Karras et al. 2022 (arXiv:2206.00364), Algorithm 1, in t instead of sigma.
    """
    for t, t_next in zip(ts[:-1], ts[1:], strict=True):
        x0 = denoise(x, t)
        if t_next == 1:
            return x0
        dt = np.float32(t_next - t)
        v = (x0 - x) / np.float32(1 - t)  # dx/dt
        x_euler = x + dt * v
        v_next = (denoise(x_euler, t_next) - x_euler) / np.float32(1 - t_next)
        x = np.asarray(x + dt * (v + v_next) / 2, np.float32)
    return x


def ancestral(
    denoise: Denoise, x: Array, ts: Sequence[float], *, rng: np.random.Generator, since: float = 0.3
) -> Array:
    """Step as `euler` until time `since`; from then on replace all remaining noise by fresh noise.

    Errors that steps leave in the picture look like noise to the next ones; with fresh noise they
    do not add up, so flat areas come out flat. Early on, fresh noise would make colours drift.

    Source: Song et al. 2021 (arXiv:2010.02502), equation 12, with the largest sigma.
    """
    for t, t_next in zip(ts[:-1], ts[1:], strict=True):
        x0 = denoise(x, t)
        if t_next == 1:
            return x0
        if t < since:
            noise = np.asarray((x - np.float32(t) * x0) / np.float32(1 - t), np.float32)
        else:
            noise = rng.standard_normal(x.shape, np.float32)
        x = np.asarray(np.float32(t_next) * x0 + np.float32(1 - t_next) * noise, np.float32)
    return x


def guided(
    denoise: Callable[[Array, float, Condition], Array],
    cond: Condition,
    uncond: Condition,
    scale: float,
) -> Denoise:
    """Return a denoiser that leans towards `cond` and away from `uncond`.

    Two calls for one, and only one where `scale` is 1, which leaves the conditional prediction.

    Source: Ho and Salimans 2022 (arXiv:2207.12598), equation 6, with scale = 1 + w.
    """

    def denoise_guided(x: Array, t: float) -> Array:
        x0 = denoise(x, t, cond)
        if scale == 1:
            return x0
        x0_uncond = denoise(x, t, uncond)
        return x0_uncond + np.float32(scale) * (x0 - x0_uncond)

    return denoise_guided


def watched(denoise: Denoise, on_step: Callable[[int, Array], None]) -> Denoise:
    """Return a denoiser that reports each prediction: `on_step(calls so far, x0)`.

    What `on_step` raises ends the walk and reaches its caller.
    """
    calls = 0

    def denoise_watched(x: Array, t: float) -> Array:
        nonlocal calls
        x0 = denoise(x, t)
        calls += 1
        on_step(calls, x0)
        return x0

    return denoise_watched
