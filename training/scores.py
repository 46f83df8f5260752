"""Scoring rules: what counts as a right answer to a question, as the judge sees the picture.

Each rule must find nearly all real compositions right, and it must be possible to fail it; the tables
of `training.evaluate` show both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import linalg
from torch import Tensor

from gouache.scene import COLOURS, LANDSCAPES, STYLES, TEXTURES, Box, Item, Scene, rgb
from training.classifier import GROUNDS, MARGIN, SIDE, Judge, crop, group_of
from training.compose import Art
from training.questions import POSITIONS, Question, family

FIRST = 5
"""Guesses of the judge that count where it is asked whether a thing is there at all."""

IDENTICAL = 0.06
"""RMS difference, of a range of 2, below which a thing is nearly identical to a drawing."""

EXTRA_SHARE = 0.02
"""Share of the ground that may differ from its colour before something extra is said to stand there."""


@dataclass(frozen=True)
class Look:
    """What the judge sees in one picture; groups are ranked for each item's box and for its half."""

    question: Question
    picture: Tensor
    real: Tensor
    without: Tensor | None
    groups: list[list[str]]
    halves: list[list[str]]
    tints: list[str]
    ground: str


@torch.no_grad()
def look(
    judge: Judge,
    questions: Sequence[Question],
    pictures: Sequence[Tensor],
    reals: Sequence[Tensor],
    withouts: Sequence[Tensor | None],
) -> list[Look]:
    """Let the judge look at pictures (3, H, W) in [-1, 1] of questions."""
    looks = []
    first = max(1, min(FIRST, len(judge.groups) // 4))
    for q, picture, real, without in zip(questions, pictures, reals, withouts, strict=True):
        items = [i for i in q.scene.items if i.concept in judge.concepts]
        boxes = [i.box for i in items] + [_half(i, q.scene) for i in items]
        thing, colour = judge(crop(picture[None].expand(len(boxes), -1, -1, -1), boxes))
        ranked = [[judge.groups[g] for g in row] for row in thing.topk(first).indices]
        tints = [list(COLOURS)[c] for c in colour[:, : len(COLOURS)].argmax(1)[: len(items)]]
        ground = GROUNDS[int(judge.grounds(picture[None]).argmax())]
        groups, halves = ranked[: len(items)], ranked[len(items) :]
        looks.append(Look(q, picture, real, without, groups, halves, tints, ground))
    return looks


def _half(item: Item, scene: Scene) -> Box:
    """Return the middle square of the half of the picture that holds an item."""
    if scene.relation in ("above", "under"):
        return Box(0.5, 0.26 if item.box.cy < 0.5 else 0.74, 0.45, 0.45)
    return Box(0.26 if item.box.cx < 0.5 else 0.74, 0.5, 0.45, 0.45)


def _wanted(seen: Look) -> list[str]:
    return [group_of(item.concept) for item in seen.question.scene.items]


def named(seen: Look, *, among: int = 1) -> bool:
    """Return whether each thing's box holds it, by the judge's first `among` guesses."""
    pairs = zip(_wanted(seen)[-len(seen.groups) :], seen.groups, strict=True)
    return all(wanted in ranked[:among] for wanted, ranked in pairs)


def placed(seen: Look) -> bool:
    """Return whether each half holds its thing."""
    return all(w in ranked for w, ranked in zip(_wanted(seen), seen.halves, strict=True))


def counted(seen: Look) -> bool:
    """Return whether each box holds its thing and nothing else stands on the ground."""
    return named(seen, among=FIRST) and extra(seen.picture, seen.question.scene) < EXTRA_SHARE


def extra(picture: Tensor, scene: Scene) -> float:
    """Return which share of the ground outside the boxes has not the ground's colour."""
    height, width = picture.shape[1:]
    free = torch.ones(height, width, dtype=torch.bool)
    for item in scene.items:
        top, bottom = (
            round(height * (item.box.cy + s * (item.box.h / 2 + 0.025))) for s in (-1, 1)
        )
        left, right = (round(width * (item.box.cx + s * (item.box.w / 2 + 0.025))) for s in (-1, 1))
        free[max(0, top) : bottom, max(0, left) : right] = False
    far = (picture - ground_colour(picture)[:, None, None]).abs().amax(0) > 0.35
    return (far & free).float().mean().item()


def coloured(seen: Look, *, exactly: bool = False) -> bool:
    """Return whether each thing has its colour: the word itself, or its family."""
    items = [i for i in seen.question.scene.items][-len(seen.tints) :]
    same = (lambda c: c) if exactly else family
    return all(same(str(item.colour)) == same(t) for item, t in zip(items, seen.tints, strict=True))


def ground_colour(picture: Tensor) -> Tensor:
    """Return the median colour (3,) of a picture's border."""
    edges = (picture[:, :3], picture[:, -3:], picture[:, :, :3], picture[:, :, -3:])
    return torch.cat([edge.flatten(1) for edge in edges], 1).median(1).values


def on_its_colour(seen: Look) -> bool:
    """Return whether a plain ground is nearest to its colour word."""
    value = (ground_colour(seen.picture) + 1) * 127.5
    near = min(
        COLOURS, key=lambda word: float((torch.tensor(COLOURS[word]) - value).square().sum())
    )
    return near == seen.question.scene.background.colours[0]


def shows_intent(seen: Look) -> bool:
    """Return whether badge, frame or rim is there.

    Where the real composition differs from the one without it, four in five pixels must be nearer to
    the first.
    """
    assert seen.without is not None
    there = (seen.real - seen.without).abs().amax(0) > 0.2
    near = (seen.picture - seen.real).abs().sum(0) < (seen.picture - seen.without).abs().sum(0)
    return near[there].float().mean().item() > 0.8


Rule = tuple[Callable[[Question], bool], Callable[[Look], bool]]
RULES: dict[str, Rule] = {
    "single object": (lambda q: q.kind == "single", named),
    "single object, first five": (lambda q: q.kind == "single", lambda s: named(s, among=FIRST)),
    "two objects": (lambda q: q.kind == "pair", named),
    "two objects, first five": (lambda q: q.kind == "pair", lambda s: named(s, among=FIRST)),
    "counting": (lambda q: q.kind == "count", counted),
    "colour, family": (lambda q: q.kind == "colour", coloured),
    "colour, exact word": (lambda q: q.kind == "colour", lambda s: coloured(s, exactly=True)),
    "position": (lambda q: q.kind == "pair" and q.scene.relation in POSITIONS, placed),
    "attribute binding": (
        lambda q: q.kind == "binding",
        lambda s: named(s, among=FIRST) and coloured(s),
    ),
    "background, plain colour": (lambda q: q.scene.background.kind == "plain", on_its_colour),
    "background, landscape": (
        lambda q: q.scene.background.kind in LANDSCAPES and q.scene.shape == "square",
        lambda s: s.ground == s.question.scene.background.kind,
    ),
    "background, texture": (
        lambda q: q.scene.background.kind in TEXTURES and q.scene.shape == "square",
        lambda s: s.ground == s.question.scene.background.kind,
    ),
    "intent": (lambda q: q.kind == "intent", shows_intent),
    "held-out pairs": (lambda q: q.kind == "held-out pair", named),
    "held-out synonyms": (lambda q: q.kind == "synonym", named),
    "wide and tall": (lambda q: q.kind == "shape", named),
}
"""The rows that are shares of right answers: which questions they are asked of, and when one is right."""

FIELDS = {
    "people": ("person", "hand", "body", "face"),
    "animals": ("animal",),
    "food and drink": ("food", "drink", "dishware"),
    "nature": ("plant", "sky", "landscape"),
    "vehicles": ("vehicle", "boat", "aircraft"),
    "places": ("building", "place", "map"),
    "signs": ("symbol", "heart", "shape", "award"),
}
"""Categories of the concept bank as the table sums them up; the others are "objects"."""

ALONE = ("single", "synonym", "shape")
"""Kinds of question that show one thing alone."""

OVERALL = (
    "single object",
    "two objects",
    "counting",
    "colour, family",
    "position",
    "attribute binding",
)
"""The rows whose mean is the overall score, as in GenEval."""


def shares(looks: Sequence[Look]) -> dict[str, float]:
    """Return the share of right answers of each rule that anything was asked for."""
    scores = {}
    for name, (asked, right) in RULES.items():
        about = [seen for seen in looks if asked(seen.question)]
        if about:
            scores[name] = sum(map(right, about)) / len(about)
    scores["overall"] = sum(scores.get(row, 0.0) for row in OVERALL) / len(OVERALL)
    return scores


def parts_of(question: Question) -> dict[str, Callable[[Look], bool]]:
    """Return the rows of the breakdown that a question counts for, and when it is right there."""
    if question.kind == "intent":
        return {f"intent: {question.scene.intent}": shows_intent}
    if question.kind not in ALONE:
        return {}
    field = next((f for f, known in FIELDS.items() if question.category in known), "objects")
    scene = question.scene
    return dict.fromkeys((f"shape: {scene.shape}", f"style: {scene.style}", f"of {field}"), named)


def breakdown(looks: Sequence[Look]) -> dict[str, float]:
    """Return the share of right answers by picture shape, style, category and intent."""
    answers: dict[str, list[bool]] = {}
    for seen in looks:
        for row, right in parts_of(seen.question).items():
            answers.setdefault(row, []).append(right(seen))
    return {row: _mean(answers[row]) for row in sorted(answers)}


class Library:
    """All drawings of the judge's concepts as crops, to find the nearest to a drawn thing."""

    def __init__(self, art: Art, concepts: Sequence[str]):
        """Cut the drawings out as `crop` cuts things: (N, 4, 40, 40), premultiplied."""
        pairs = [(name, style) for name in concepts for style in STYLES]
        box = Box(0.5, 0.5, 0, 0)
        self.style = [style for _, style in pairs]
        rows = [art.row(Item(name, name, box), style) for name, style in pairs]
        theta = torch.tensor([[MARGIN, 0, 0], [0, MARGIN, 0]]).expand(len(rows), 2, 3)
        grid = F.affine_grid(theta, [len(rows), 4, SIDE, SIDE], align_corners=False)
        drawings = art.levels[-2][rows][:, :4].float() / 255
        self.drawn = F.grid_sample(drawings, grid, align_corners=False)

    def nearest(self, thing: Tensor, ground: Tensor) -> tuple[float, str]:
        """Return the RMS distance of a crop to the nearest drawing on a plain ground, and its style."""
        colour = (ground[:, None, None] + 1) / 2
        pasted = 2 * (self.drawn[:, :3] + colour * (1 - self.drawn[:, 3:])) - 1
        distance = (pasted - thing).square().mean((1, 2, 3)).sqrt()
        at = int(distance.argmin())
        return distance[at].item(), self.style[at]


def likeness(
    library: Library, questions: Sequence[Question], pictures: Sequence[Tensor]
) -> dict[str, float]:
    """Return how near single things on plain grounds come to the library's drawings."""
    found = []
    for question, picture in zip(questions, pictures, strict=True):
        background, item = question.scene.background, question.scene.items[0]
        if question.kind in ("single", "synonym", "shape") and background.kind == "plain":
            ground = torch.tensor(rgb(background.colours[0])) / 127.5 - 1
            found.append((question, library.nearest(crop(picture[None], [item.box])[0], ground)))
    if not found:
        return {}
    return {
        "style of the nearest drawing": _mean(q.scene.style == style for q, (_, style) in found),
        "nearly identical to a drawing": _mean(far < IDENTICAL for _, (far, _) in found),
        "distance to the nearest drawing": _mean(far for _, (far, _) in found),
    }


def sharpness(pictures: Sequence[Tensor], reals: Sequence[Tensor]) -> float:
    """Return the gradient energy of pictures relative to the real ones."""
    return sum(map(_gradients, pictures)) / sum(map(_gradients, reals))


def _gradients(picture: Tensor) -> float:
    return float(picture.diff(dim=1).square().mean() + picture.diff(dim=2).square().mean())


@torch.no_grad()
def frechet(judge: Judge, pictures: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Return the Frechet distance of the judge's features of two equally large sets of pictures."""
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(judge, part) for part in (pictures, others))
    # Of the eigenvalues of a product of covariances rounding makes some slightly negative.
    roots = np.sqrt(np.maximum(linalg.eigvals(cov_a @ cov_b).real, 0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b) - 2 * roots)


def _moments(judge: Judge, pictures: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    small = [F.interpolate(p[None], size=(SIDE, SIDE), mode="area") for p in pictures]
    features = judge.features(torch.cat(small)).double().numpy()
    return features.mean(0), np.cov(features.T)


def _mean(values: Iterable[float]) -> float:
    numbers = [float(value) for value in values]
    return sum(numbers) / len(numbers)
