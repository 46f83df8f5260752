"""What a prediction costs, and how noisy the pictures are that the denoiser trains on.

The path is z = t x + (1 - t) noise; the denoiser predicts x. Squared error weighted by
1 / max(1 - t, 0.25) lies between plain x-prediction and the velocity loss (Li & He 2025,
arXiv:2511.13720, equations 5 to 7); absolute and edge terms keep flat art's edges sharp.
"""

import torch
from torch import Tensor


def draw_times(batch: int, noisy_end: float, generator: torch.Generator) -> Tensor:
    """Return t (B,) in 0..0.98: a share of `noisy_end` crowds towards 0, the rest is uniform.

    Layout and ground are decided near 0, where a bell-shaped draw would hardly ever train.
    """
    early = 0.6 * torch.rand(batch, generator=generator).square()
    even = 0.98 * torch.rand(batch, generator=generator)
    is_early = torch.rand(batch, generator=generator) < noisy_end
    return torch.where(is_early, early, even)


def loss(predicted: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Return the cost of predictions (B, 3, H, W) of x at times t (B,)."""
    weight = 1 / (1 - t).clamp(min=0.25)
    error = predicted - x
    squared = error.square().mean((1, 2, 3))
    absolute = error.abs().mean((1, 2, 3))
    across = (error[..., 1:] - error[..., :-1]).abs().mean((1, 2, 3))
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean((1, 2, 3))
    return (weight * (squared + 0.1 * absolute + 0.1 * (across + down))).mean()
