"""Muon: steps of equal size in every direction for matrices inside the network, Adam for the rest.

The momentum of a convolution, as a matrix (out, in * rows * columns), is brought close to orthogonal
before it is applied. A few thousand steps are all that a CPU affords, and these go further than
Adam's (`training/LOG.md`).

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", with its
Newton-Schulz coefficients; the step's size after Liu et al. 2025 (arXiv:2502.16982), section 2.2, so
that one learning rate fits both kinds. Left out: weight decay.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """One optimiser for both kinds of weights; `lr` of a group is Adam's."""

    def __init__(self, matrices: Iterable[nn.Parameter], others: Iterable[nn.Parameter], lr: float):
        """Take the weights to be made orthogonal steps on, and those left to Adam."""
        groups = [
            {"params": list(matrices), "orthogonal": True},
            {"params": list(others), "orthogonal": False},
        ]
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Apply the gradients at hand."""
        for group in self.param_groups:
            apply = self._orthogonal_step if group["orthogonal"] else self._adam_step
            for weights in group["params"]:
                if weights.grad is not None:
                    apply(weights, weights.grad, group["lr"])

    def _orthogonal_step(self, weights: nn.Parameter, gradient: Tensor, lr: float) -> None:
        momentum = self.state[weights].setdefault("momentum", torch.zeros_like(weights))
        momentum.lerp_(gradient, 0.05)
        ahead = gradient.lerp(momentum, 0.95).reshape(len(weights), -1)
        size = 0.2 * max(ahead.shape) ** 0.5
        weights.sub_(orthogonal(ahead).reshape(weights.shape), alpha=lr * size)

    def _adam_step(self, weights: nn.Parameter, gradient: Tensor, lr: float) -> None:
        state = self.state[weights]
        mean = state.setdefault("mean", torch.zeros_like(weights))
        square = state.setdefault("square", torch.zeros_like(weights))
        state["count"] = count = state.get("count", 0) + 1
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient.square(), 0.03)
        root = (square / (1 - 0.97**count)).sqrt() + 1e-8
        weights.addcdiv_(mean / (1 - 0.9**count), root, value=-lr)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return (m, n) with the singular vectors of `matrix` and singular values near 1."""
    flat = matrix.shape[0] <= matrix.shape[1]
    x = matrix if flat else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if flat else x.T
