"""Checkpoints: a run's whole state to go on from, and the averaged weights to use.

`run.pt` holds network, average, optimiser and step; since batches depend on (seed, step) alone, a
run killed at any moment goes on as if it had not been. `denoiser.pt` holds the average only, as
{"config", "state_dict", "step"}, for evaluation and export. Both appear whole or not at all.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.model import Denoiser, DenoiserConfig

RUN = "run.pt"
DENOISER = "denoiser.pt"


def save(
    folder: Path,
    network: Denoiser,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
) -> None:
    """Write both files; the one that a run goes on from comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    config = dataclasses.asdict(network.config)
    _write(folder / DENOISER, {"config": config, "state_dict": average, "step": step})
    state = {
        "network": network.state_dict(),
        "average": average,
        "optimiser": optimiser.state_dict(),
        "step": step,
    }
    _write(folder / RUN, state)


def load_run(
    folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, device: torch.device
) -> tuple[dict[str, Tensor], int] | None:
    """Bring network and optimiser to where a run stopped; return its average and step, or None."""
    path = folder / RUN
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    return state["average"], state["step"]


def load_denoiser(path: Path) -> tuple[Denoiser, int]:
    """Return the averaged network of a `denoiser.pt` or of a kept one, ready for use, and its step."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    network = Denoiser(DenoiserConfig(**stored["config"]))
    scales = stored.get("scales", {})
    network.load_state_dict(
        {k: v.float() * scales.get(k, 1) for k, v in stored["state_dict"].items()}
    )
    return network.eval(), stored["step"]


def keep(path: Path, small: Path) -> None:
    """Write a `denoiser.pt` again in a quarter of its size, each row of a matrix in 255 steps.

    What goes into the repository for later runs to start from (`--start`).
    """
    stored = torch.load(path, weights_only=True, map_location="cpu")
    state, scales = {}, {}
    for name, value in stored["state_dict"].items():
        if value.ndim < 2:
            state[name] = value
            continue
        rows = tuple(range(1, value.ndim))
        scales[name] = value.abs().amax(rows, keepdim=True).clamp(min=1e-8) / 127
        state[name] = (value / scales[name]).round().to(torch.int8)
    _write(small, stored | {"state_dict": state, "scales": scales})


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
