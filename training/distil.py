"""Few steps: a student learns to draw in four what its teacher draws in twelve under guidance.

`python -m training.distil --preset cpu --teacher training/kept/gouache-1-cpu.pt --out data/runs/few`
starts from the teacher's weights. The path is cut into segments, one for each step of the student. A
*walk* holds where each segment began and what the teacher, taking several guided steps from there,
predicted last: the student learns to predict that at once, without guidance. The first walks are the
teacher's own; later ones go from the student's own hand, so that it meets its own errors. Walks are
made once, lie in the folder, and serve many steps; the same command resumes after a kill.

Source: phased distillation by regression after Salimans and Ho 2022 (arXiv:2202.00512) and Meng et al.
2023 (arXiv:2210.03142); starts by the student's hand after Ross et al. 2011 (arXiv:1011.0686).
"""

import argparse
import random
import time
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from gouache.diffusion.schedule import time_grid
from training.checkpoints import load_denoiser
from training.data import Batch, Data
from training.loss import loss
from training.model import Denoiser
from training.presets import DISTILLATIONS, Distillation
from training.sheet import Denoise, advance, guided
from training.train import Log, Run, descend, learning_rate, open_run, save


@dataclass
class Walk:
    """Pictures of one shape from noise to the end, for S segments of B pictures.

    starts (S, B, 3, H, W) lie at the segments' first times, aims (S, B, 3, H, W) are the clean
    pictures to predict there; the last aim is the finished picture. The rest is the conditioning.
    """

    starts: Tensor
    aims: Tensor
    tokens: Tensor
    token_mask: Tensor
    guide: Tensor
    phrases: Tensor
    coverage: Tensor

    def batch(self) -> Batch:
        """Return the conditioning as a batch, and as its pictures the finished ones."""
        told = (self.tokens, self.token_mask, self.guide, self.phrases, self.coverage)
        return Batch(self.aims[-1], *told)


class Course:
    """What a student has to learn: its teacher, and the times of both."""

    def __init__(self, plan: Distillation, teacher: Denoiser, nothing: tuple[Tensor, Tensor]):
        """Take a teacher and the token states and mask of the empty caption."""
        self.plan, self.teacher, self.nothing = plan, teacher, nothing
        self.times = time_grid(plan.segments, shift=plan.shift)
        self.fine = time_grid(plan.segments * plan.within, shift=plan.shift)

    @torch.no_grad()
    def walk(self, batch: Batch, student: Denoise | None, seed: str) -> Walk:
        """Return the walk of a batch's scenes by the student's hand, or by that of a perfect one.

        The teacher keeps its noise within a segment, so that an aim follows from its start alone: of
        aims that differed by chance the student would learn the mean, which is blurred.
        """
        generator = torch.Generator().manual_seed(random.Random(seed).getrandbits(60))
        teach = guided(self.teacher, batch, self.nothing, self.plan.guidance_scale)
        within = self.plan.within
        z = torch.randn(batch.x.shape, generator=generator).to(batch.x.device)
        starts, aims = [], []
        with _half_on_a_gpu(z.device):
            for segment, ends in enumerate(pairwise(self.times)):
                fine = self.fine[segment * within : (segment + 1) * within + 1]
                _, aim = advance(teach, z, fine, generator, since=1)
                starts.append(z)
                aims.append(aim.clamp(-1, 1) if ends[1] == 1 else aim)
                z, _ = advance(student or (lambda *_, aim=aim: aim), z, ends, generator)
        return Walk(torch.stack(starts), torch.stack(aims), *batch.conditioning())

    def cost(self, network: Denoiser, walk: Walk, rng: random.Random) -> Tensor:
        """Return what the network's predictions cost, each picture in a segment drawn at random."""
        count = walk.aims.shape[1]
        chosen = rng.choices(range(self.plan.segments), k=count)
        t = torch.tensor([self.times[segment] for segment in chosen], device=walk.aims.device)
        z, aim = walk.starts[chosen, range(count)], walk.aims[chosen, range(count)]
        z = z.contiguous(memory_format=torch.channels_last)
        with _half_on_a_gpu(z.device):
            predicted = network(z, t, *walk.batch().conditioning())
        return loss(predicted.float(), aim, t)

    @torch.no_grad()
    def apart(self, network: Denoiser, walk: Walk) -> float:
        """Return the mean squared difference of pictures in few steps to the teacher's.

        Both start from the same noise; what is drawn anew on the way is not the same, so that even
        the teacher's second walk differs from its first.
        """
        denoise = guided(network, walk.batch(), self.nothing, 1)
        generator = torch.Generator().manual_seed(0)
        drawn = advance(denoise, walk.starts[0], self.times, generator)[1].clamp(-1, 1)
        return (drawn - walk.aims[-1]).square().mean().item()


def _half_on_a_gpu(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


class Walks:
    """The walks of a run, in files. Walk n is a function of (seed, n) and of the student then."""

    def __init__(self, folder: Path, course: Course, data: Data, *, seed: int, workers: int = 0):
        """Go on behind the last walk in the folder of a run; `workers` processes plan ahead."""
        self.folder = folder / "walks"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.course, self.data, self.seed = course, data, seed
        made = 1 + max((int(path.stem) for path in self.folder.glob("[0-9]*.pt")), default=-1)
        self._scenes = data.batches(seed, made, 0, workers=workers)

    def known(self, step: int) -> range:
        """Return the numbers of the walks that a step may learn from."""
        plan = self.course.plan
        made = plan.first + step // plan.every
        return range(max(0, made - plan.pool), made)

    def make(self, step: int, student: Denoiser) -> None:
        """Make what is missing of the walks that a step may learn from; forget the older ones."""
        for number in self.known(step):
            if self._path(number).exists():
                continue
            batch = next(self._scenes)
            own = guided(student, batch, self.course.nothing, 1)
            is_own = number >= self.course.plan.first
            walk = self.course.walk(batch, own if is_own else None, f"{self.seed} walk {number}")
            self._write(self._path(number), walk)
        self._path(self.known(step).start - 1).unlink(missing_ok=True)

    def load(self, number: int) -> Walk:
        """Read a walk."""
        return self._read(self._path(number))

    def held_out(self) -> Walk:
        """Return a walk by the teacher through scenes that no step learns from."""
        path = self.folder / "held-out.pt"
        if not path.exists():
            batch = self.data.batch(self.seed, 0, 1)
            self._write(path, self.course.walk(batch, None, f"{self.seed} held out"))
        return self._read(path)

    def _write(self, path: Path, walk: Walk) -> None:
        part = path.with_suffix(".part")
        torch.save({f.name: getattr(walk, f.name).half() for f in fields(walk)}, part)
        part.replace(path)

    def _read(self, path: Path) -> Walk:
        stored = torch.load(path, weights_only=True, map_location=self.data.device)
        return Walk(**{name: part.float() for name, part in stored.items()})

    def close(self) -> None:
        """Let go of what plans ahead."""
        self._scenes.close()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.pt"


def take_step(run: Run, walks: Walks, *, seed: int) -> tuple[float, float, int]:
    """Do one step; return its loss, its gradient norm before clipping and its pictures' number."""
    rng = random.Random(f"{seed} step {run.step}")
    walk = walks.load(rng.choice(walks.known(run.step)))
    cost = walks.course.cost(run.network, walk, rng)
    return cost.item(), descend(run, cost), walk.aims.shape[1]


def distil(plan: Distillation, options: argparse.Namespace) -> None:
    """Teach a student, from where the run in the folder stopped."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(options.threads)
    data = Data(plan.student, options.art, options.bank, device)
    teacher = load_denoiser(options.teacher)[0].to(device, memory_format=torch.channels_last)
    course = Course(plan, teacher, data.text.states([""]))
    run = open_run(plan.student, options.out, device, options.seed, options.teacher)
    walks = Walks(options.out, course, data, seed=options.seed, workers=options.workers)
    held_out = walks.held_out()
    log = Log(options.out, 0, plan.student.steps)
    deadline = time.monotonic() + 60 * options.minutes

    def keep() -> None:
        student = save(run, options.out, data, steps=plan.segments, guidance_scale=1)
        log.write({"step": run.step, "apart": round(course.apart(student, held_out), 5)})

    if run.step == 0:
        keep()
    while run.step < plan.student.steps and time.monotonic() < deadline:
        walks.make(run.step, run.network)
        for group in run.optimiser.param_groups:
            group["lr"] = learning_rate(plan.student, run.step, plan.student.steps)
        cost, norm, pictures = take_step(run, walks, seed=options.seed)
        log.note(run.step, cost, norm, pictures)
        if log.is_time_to_save(plan.student.save_minutes):
            keep()
    walks.close()
    keep()


def main() -> None:
    """Distil from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=list(DISTILLATIONS), default="cpu")
    parser.add_argument("--teacher", type=Path, required=True, help="a denoiser.pt or a kept one")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--art", type=Path, default=Path("data/art"))
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights/concepts.json"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="in all; default: the preset's")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop and save then")
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    parser.add_argument("--workers", type=int, default=0, help="processes that plan ahead")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    plan = DISTILLATIONS[options.preset]
    if options.steps:
        plan = replace(plan, student=replace(plan.student, steps=options.steps))
    distil(plan, options)


if __name__ == "__main__":
    main()
