"""Scores a denoiser: `python -m training.evaluate --checkpoint F --classifier F --out FOLDER`.

Each question is drawn twice, from the whole scene (guided) and from its caption alone (text only). All
rows are scored from the same pictures, beside their ceiling, the real compositions, and their floor,
the bare guide pasted over the plain ground and enlarged. Written are `scores.md`, `scores.json`,
`scores.png` and `pictures.pt`, which `--drawn` scores again without drawing.

`--prompts FILE --out FOLDER` draws the free prompts of a file instead, see `training.prompt_sheet`.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.diffusion.pipeline import Pipeline, size
from gouache.scene import SHAPES, rgb
from training import prompt_sheet
from training.checkpoints import load_denoiser
from training.classifier import Judge, load_judge
from training.data import Batch, Data
from training.model import Denoiser
from training.presets import PRESETS
from training.questions import Question, Questions
from training.scenes import Example
from training.scores import (
    RULES,
    Library,
    breakdown,
    frechet,
    likeness,
    look,
    named,
    parts_of,
    shares,
    sharpness,
)
from training.sheet import sample, save_grid, text_only

BATCH = 8
SHOWN = 14
"""Questions on the contact sheet."""

Pictures = list[Tensor]


@dataclass(frozen=True)
class Answers:
    """Pictures (3, H, W) of the same questions: real, without what the intent adds, floor, drawn."""

    real: Pictures
    without: list[Tensor | None]
    floor: Pictures
    guided: Pictures
    text: Pictures

    def sets(self) -> dict[str, Pictures]:
        """Return the four sets that are scored."""
        return {"real": self.real, "floor": self.floor, "guided": self.guided, "text": self.text}


def answer(
    denoiser: Denoiser | None,
    data: Data,
    questions: list[Question],
    *,
    guidance_scale: float = 2.0,
    steps: int = 10,
    with_text_only: bool = True,
) -> Answers:
    """Draw all questions, in batches of one picture shape; without a denoiser only the known sets."""
    answers = Answers([], [], [], [], [])
    nothing = data.text.states([""])
    for shape in SHAPES:
        asked = [q for q in questions if q.scene.shape == shape]
        for start in range(0, len(asked), BATCH):
            part = asked[start : start + BATCH]
            batch = known(data, part, answers, seed=f"evaluation {shape} {start}")
            for into, told in ((answers.guided, batch), (answers.text, text_only(batch))):
                if denoiser is not None and (with_text_only or told is batch):
                    drawn = sample(
                        denoiser,
                        told,
                        nothing,
                        steps=steps,
                        guidance_scale=guidance_scale,
                        seed=start,
                    )
                    into += list(drawn.cpu())
    return answers


def drawn_by_engine(
    pipeline: Pipeline, questions: list[Question], *, guidance_scale: float, steps: int
) -> Pictures:
    """Return what the exported model draws, as the package tells it, at the size of the real ones."""
    drawn = []
    for shape in SHAPES:
        height, width = size(shape, pipeline.model.drawing.side)
        for seed, question in enumerate(q for q in questions if q.scene.shape == shape):
            told = pipeline.condition(question.scene, question.caption)
            small = pipeline.sample(
                told, num_inference_steps=steps, guidance_scale=guidance_scale, seed=seed
            )
            drawn.append(F.interpolate(torch.from_numpy(small), (height, width), mode="area")[0])
    return drawn


def known(data: Data, questions: list[Question], answers: Answers, *, seed: str) -> Batch:
    """Add what needs no denoiser for questions of one picture shape; return their batch."""
    examples = [Example(q.scene, q.caption, q.kind) for q in questions]
    batch = data.finished(examples, [q.caption for q in questions], seed, damaged=False)
    answers.real.extend(batch.x.cpu())
    answers.floor.extend(floor(batch, questions).cpu())
    for question in questions:
        if question.without is None:
            answers.without.append(None)
        else:
            example = Example(question.without, question.caption, question.kind)
            answers.without.append(
                data.finished([example], [example.caption], seed, damaged=False).x[0].cpu()
            )
    return batch


def floor(batch: Batch, questions: list[Question]) -> Tensor:
    """Return the bare guides pasted over plain grounds, grey for landscapes, and enlarged."""
    grounds = [q.scene.background.colours[:1] for q in questions]
    colours = torch.tensor([rgb(c[0]) if c else (128, 128, 128) for c in grounds]) / 127.5 - 1
    colours = colours.to(batch.x.device)[:, :, None, None]
    alpha = batch.guide[:, 3:4]
    return F.interpolate(
        batch.guide[:, :3] + colours * (1 - alpha), size=batch.x.shape[2:], mode="bilinear"
    )


def table(
    judge: Judge, data: Data, questions: list[Question], answers: Answers, others: Pictures
) -> dict[str, dict[str, float]]:
    """Return all rows: their questions' number and their value for each set of pictures.

    `others` are real compositions of other questions, which feature distances are taken to.
    """
    ordered = [q for shape in SHAPES for q in questions if q.scene.shape == shape]
    square = [i for i, q in enumerate(ordered) if q.scene.shape == "square"]
    library = Library(data.composer.art, judge.concepts)
    rows: dict[str, dict[str, float]] = {}
    for name, pictures in answers.sets().items():
        if not pictures:
            continue
        looks = look(judge, ordered, pictures, answers.real, answers.without)
        scores = shares(looks) | likeness(library, ordered, pictures)
        squares = [pictures[i] for i in square]
        scores["sharpness"] = sharpness(squares, [answers.real[i] for i in square])
        even = min(len(squares), len(others))
        scores["feature distance"] = frechet(judge, squares[:even], others[:even])
        for row, value in (scores | breakdown(looks)).items():
            rows.setdefault(row, {})[name] = value
    for row, (asked, _) in RULES.items():
        if row in rows:
            rows[row]["questions"] = sum(map(asked, ordered))
    for question in ordered:
        for row in parts_of(question):
            rows[row]["questions"] = rows[row].get("questions", 0) + 1
    return rows


def markdown(rows: dict[str, dict[str, float]], title: str) -> str:
    """Return the rows as a Markdown table, with what guided and text-only reach of the ceiling."""
    lines = [
        f"# {title}",
        "",
        "| row | questions | real | bare guide | guided | of real | text only | of real |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row, values in rows.items():
        asked = str(values.get("questions", ""))
        cells = [row, asked, _number(values.get("real")), _number(values.get("floor"))]
        for name in ("guided", "text"):
            share = "" if "distance" in row else _ratio(values.get(name), values.get("real"))
            cells += [_number(values.get(name)), share]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _ratio(value: float | None, ceiling: float | None) -> str:
    return "" if value is None or not ceiling else f"{value / ceiling:.0%}"


def save_contact_sheet(answers: Answers, questions: list[Question], path: Path) -> None:
    """Write rows of bare guide, guided, text-only and real pictures of some square questions."""
    square = [i for i, q in enumerate(q for q in questions if q.scene.shape == "square")]
    shown = square[:: max(1, len(square) // SHOWN)][:SHOWN]
    sets = (answers.floor, answers.guided, answers.text, answers.real)
    save_grid([torch.stack([s[i] for i in shown]) for s in sets if s], path)


def answered(
    args: argparse.Namespace, data: Data, questions: list[Question]
) -> tuple[Answers, str]:
    """Return the answers, drawn now or before, and whose they are."""
    if args.drawn:
        stored = torch.load(args.drawn, weights_only=True)
        answers = answer(None, data, questions)
        for name in ("guided", "text"):
            getattr(answers, name).extend(p.float() / 127.5 - 1 for p in stored[name])
        return answers, stored["by"]
    told = {"guidance_scale": args.guidance_scale, "steps": args.steps}
    if args.engine:
        answers, by = answer(None, data, questions), "As shipped"
        pipeline = Pipeline.open(args.bank, threads=1)
        answers.guided.extend(drawn_by_engine(pipeline, questions, **told))
    else:
        denoiser, step = load_denoiser(args.checkpoint)
        answers = answer(denoiser, data, questions, with_text_only=not args.guided_only, **told)
        by = f"Step {step}"
    stored = {name: [_byte(p) for p in answers.sets()[name]] for name in ("guided", "text")}
    torch.save(stored | {"by": by}, args.out / "pictures.pt")
    return answers, by


def evaluate(args: argparse.Namespace) -> None:
    """Draw, or take what was drawn before, and write table and sheet."""
    judge = load_judge(args.classifier)
    data = Data(PRESETS[args.preset], args.art, args.bank / "concepts.json", torch.device("cpu"))
    questions = Questions(args.bank / "concepts.json", judge.concepts, args.seed).ask(args.count)
    began = time.perf_counter()
    answers, by = answered(args, data, questions)
    asked_elsewhere = Questions(args.bank / "concepts.json", judge.concepts, args.seed + 1)
    other = [q for q in asked_elsewhere.ask(args.count) if q.scene.shape == "square"]
    others = answer(None, data, other).real
    rows = table(judge, data, questions, answers, others)
    concepts = {i.concept for q in questions for i in q.scene.items}
    title = (
        f"{by}: {len(questions)} questions, {len(concepts)} concepts, "
        f"{args.steps} steps, guidance {args.guidance_scale:g}"
    )
    written = markdown(rows, title)
    (args.out / "scores.md").write_text(written, encoding="utf-8")
    (args.out / "scores.json").write_text(json.dumps({"by": by, "rows": rows}, indent=1))
    save_contact_sheet(answers, questions, args.out / "scores.png")
    print(f"{written}\n{time.perf_counter() - began:.0f} s")


def evaluate_every_concept(args: argparse.Namespace) -> None:
    """Draw each concept that the judge knows once, guided, and print how many are right."""
    judge = load_judge(args.classifier)
    data = Data(PRESETS[args.preset], args.art, args.bank / "concepts.json", torch.device("cpu"))
    denoiser, step = load_denoiser(args.checkpoint)
    asked = Questions(args.bank / "concepts.json", judge.concepts, args.seed).every_concept()
    answers = answer(
        denoiser,
        data,
        asked,
        guidance_scale=args.guidance_scale,
        steps=args.steps,
        with_text_only=False,
    )
    for name in ("real", "floor", "guided"):
        looks = look(judge, asked, answers.sets()[name], answers.real, answers.without)
        print(f"step {step}, {name}: {sum(map(named, looks))} of {len(looks)} concepts right")


def _byte(picture: Tensor) -> Tensor:
    return ((picture.clamp(-1, 1) + 1) * 127.5).round().byte()


def main() -> None:
    """Score a checkpoint, or draw the free prompts with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=Path("data/runs/cpu/denoiser.pt"))
    parser.add_argument("--classifier", type=Path, help="written by training.classifier")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="questions, roughly")
    parser.add_argument("--every-concept", action="store_true", help="single objects, all known")
    parser.add_argument("--guided-only", action="store_true", help="leave out text only")
    parser.add_argument("--drawn", type=Path, help="a pictures.pt to score again")
    parser.add_argument("--prompts", type=Path, help="a file of free prompts to draw instead")
    parser.add_argument(
        "--engine", action="store_true", help="draw with what is exported, as the package tells it"
    )
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--guidance-scale", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--art", type=Path, default=Path("data/art"))
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.prompts and not args.classifier:
        parser.error("--classifier is needed to score")
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.prompts:
        prompt_sheet.draw_file(args)
    elif args.every_concept:
        evaluate_every_concept(args)
    else:
        evaluate(args)


if __name__ == "__main__":
    main()
