"""Train the denoiser: one command for two CPU cores and for a GPU, that goes on where it stopped.

`python -m training.train --preset cpu --out data/runs/cpu` starts a process per core (`--processes`)
that average their gradients; on a CUDA machine it is one process in bfloat16. Every few minutes it
writes a checkpoint, a usable denoiser and a sample sheet. The same command resumes after a kill.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from training import checkpoints
from training.data import Batch, Data
from training.loss import draw_times, loss
from training.model import Denoiser
from training.muon import Muon
from training.presets import PRESETS, Preset
from training.sheet import save_sheet

Forward = Callable[..., Tensor]


def learning_rate(preset: Preset, step: int, steps: int) -> float:
    """Return the rate of a step: warm-up, constant, then linear to 2 % over the last `cooldown`."""
    warm = min(1.0, (step + 1) / preset.warmup_steps)
    left = (steps - step) / (steps * preset.cooldown)
    return preset.learning_rate * warm * min(1.0, max(0.02, left))


@dataclass
class Run:
    """A training's state: what a checkpoint holds, beside what it is made with."""

    preset: Preset
    network: Denoiser
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int
    device: torch.device


def open_run(
    preset: Preset, folder: Path, device: torch.device, seed: int, start: Path | None = None
) -> Run:
    """Return the run in the folder where it stopped, or a new one, from the weights of `start`."""
    torch.manual_seed(seed)
    network = Denoiser(preset.denoiser)
    if start is not None:
        network.load_state_dict(checkpoints.load_denoiser(start)[0].state_dict())
    network = network.to(device, memory_format=torch.channels_last)
    matrices = [p for name, p in network.named_parameters() if is_inner_matrix(name, p)]
    chosen = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in chosen]
    optimiser = Muon(matrices, others, preset.learning_rate)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    resumed = checkpoints.load_run(folder, network, optimiser, device)
    average, step = resumed or (average, 0)
    return Run(preset, network, average, optimiser, step, device)


def is_inner_matrix(name: str, weights: Tensor) -> bool:
    """Return whether weights map cells to cells inside the network, so that Muon steps suit them."""
    return weights.ndim == 4 and name.split(".")[0] not in ("enter", "leave", "layout_in", "detail")


def take_step(
    run: Run, forward: Forward, batch: Batch, *, seed: int, process: int, processes: int
) -> tuple[float, float]:
    """Do one optimiser step on a batch; return its loss and gradient norm before clipping."""
    preset, device = run.preset, run.device
    rng = random.Random(f"{seed} noise {run.step} {process}")
    generator = torch.Generator().manual_seed(rng.getrandbits(60))
    t = draw_times(len(batch.x), preset.noisy_end, generator).to(device)
    noise = torch.randn(batch.x.shape, generator=generator).to(device)
    at = t[:, None, None, None]
    z = (at * batch.x + (1 - at) * noise).contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        predicted = forward(z, t, *batch.conditioning())
    cost = loss(predicted.float(), batch.x, t)
    return cost.item(), descend(run, cost, processes)


def descend(run: Run, cost: Tensor, processes: int = 1) -> float:
    """Do one optimiser step on a cost; return its gradient norm before clipping."""
    cost.backward()
    if processes > 1:
        share_gradients(run.network, processes)
    norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.preset.clip)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    run.step += 1
    follow(run.average, run.network, min(run.preset.ema, (1 + run.step) / (10 + run.step)))
    return float(norm)


def train(process: int, processes: int, options: argparse.Namespace) -> None:
    """Run one process of a training."""
    preset = PRESETS[options.preset]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(options.threads)
    if processes > 1:
        store = f"file://{(options.out / 'rendezvous').resolve()}"
        dist.init_process_group("gloo", init_method=store, rank=process, world_size=processes)
    run = open_run(preset, options.out, device, options.seed, options.start)
    data = Data(preset, options.art, options.bank, device)
    forward = torch.compile(run.network) if options.compile else run.network
    steps = options.steps or preset.steps
    log = Log(options.out, process, steps)
    deadline = time.monotonic() + 60 * options.minutes
    batches = data.batches(options.seed, run.step, process, workers=options.workers)
    while run.step < steps and time.monotonic() < deadline:
        for group in run.optimiser.param_groups:
            group["lr"] = learning_rate(preset, run.step, steps)
        batch = next(batches)
        cost, norm = take_step(
            run, forward, batch, seed=options.seed, process=process, processes=processes
        )
        log.note(run.step, cost, norm, len(batch.x) * processes)
        if log.is_time_to_save(preset.save_minutes) and process == 0:
            save(run, options.out, data)
    batches.close()
    if process == 0:
        save(run, options.out, data)
    if processes > 1:
        dist.barrier()
        dist.destroy_process_group()


def share_gradients(network: Denoiser, processes: int) -> None:
    """Replace each gradient by its mean over the processes, in one message."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def follow(average: dict[str, Tensor], network: Denoiser, decay: float) -> None:
    """Move the averaged weights a little towards the network's."""
    values = list(network.state_dict().values())
    torch._foreach_lerp_(list(average.values()), values, 1 - decay)


def save(run: Run, folder: Path, data: Data, **sampling: Any) -> Denoiser:
    """Write the checkpoint, then a sheet drawn by the averaged network, which is returned.

    `sampling` is for `save_sheet`.
    """
    checkpoints.save(folder, run.network, run.average, run.optimiser, run.step)
    drawer = Denoiser(run.network.config).to(run.device, memory_format=torch.channels_last).eval()
    drawer.load_state_dict(run.average)
    save_sheet(drawer, data, folder / f"sheet-{run.step:06d}.png", **sampling)
    print(f"saved step {run.step}", flush=True)
    return drawer


class Log:
    """Progress on the terminal and in `log.jsonl`: a line per 25 steps, from the first process."""

    def __init__(self, folder: Path, process: int, steps: int):
        """Start counting."""
        self.path = folder / "log.jsonl"
        self.process, self.steps = process, steps
        self.started = self.saved = self.lined = time.monotonic()
        self.costs: list[float] = []
        self.norms: list[float] = []
        self.pictures = 0

    def note(self, step: int, cost: float, norm: float, pictures: int) -> None:
        """Take in one step, and say how it goes now and then."""
        self.costs.append(cost)
        self.norms.append(norm)
        self.pictures += pictures
        if step % 25 or self.process:
            return
        now = time.monotonic()
        line = {
            "step": step,
            "minutes": round((now - self.started) / 60, 1),
            "loss": round(sum(self.costs) / len(self.costs), 4),
            "gradient_norm": round(sum(self.norms) / len(self.norms), 3),
            "pictures_per_second": round(self.pictures / (now - self.lined), 1),
        }
        left = (self.steps - step) * (now - self.lined) / len(self.costs) / 60
        self.write(line)
        print(f"{left:.0f} minutes left", flush=True)
        self.costs, self.norms, self.pictures, self.lined = [], [], 0, now

    def write(self, line: dict[str, float]) -> None:
        """Add one line."""
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def is_time_to_save(self, minutes: float) -> bool:
        """Return whether so many minutes have passed since this last said yes."""
        if time.monotonic() - self.saved < 60 * minutes:
            return False
        self.saved = time.monotonic()
        return True


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=list(PRESETS), default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--art", type=Path, default=Path("data/art"))
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights/concepts.json"))
    parser.add_argument("--start", type=Path, help="a denoiser.pt to begin a new run with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="in all; default: the preset's")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop and save then")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--threads", type=int, default=1, help="per process, on a CPU")
    parser.add_argument("--workers", type=int, default=0, help="planning ahead, per process")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "rendezvous").unlink(missing_ok=True)
    processes = 1 if torch.cuda.is_available() else options.processes
    if processes == 1:
        train(0, 1, options)
    else:
        mp.spawn(train, (processes, options), nprocs=processes)


if __name__ == "__main__":
    main()
