"""Prompt revision: free text in, a scene that the denoiser was trained to draw out.

Text is taken in (`messages`): tagged (`tagging`) and read (`reading`), a letter or a record by what
matters in it. Then concepts of the bank are chosen for it (`planning`) and laid out (`layouts`).
Whatever is not drawn as asked is said in the revised prompt. The same prompt, shape and seed give the
same scene.

How much of realistic prompts is understood is measured and told in `tests/test_prompts.py`.
"""

import random
from dataclasses import dataclass

from gouache.concepts import ConceptBank, Embed
from gouache.layouts import lay_out
from gouache.messages import take_in
from gouache.planning import Planner
from gouache.scene import Scene, caption

MOST_NOTES = 8


@dataclass(frozen=True, slots=True)
class Revision:
    """A prompt made drawable.

    `revised_prompt` is the caption the denoiser gets, followed in words by what could not be drawn as
    asked. `unresolved` are words that nothing in the picture stands for, `stand_ins` pairs (asked,
    drawn), `overlay_text` what was to be written, which is not drawn.
    """

    scene: Scene
    revised_prompt: str
    unresolved: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...]
    overlay_text: tuple[str, ...]


def revise(prompt: str, *, shape: str, concepts: ConceptBank, embed: Embed, seed: int) -> Revision:
    """Return the scene a prompt asks for on a canvas of `shape`, and what of it is not drawn.

    `embed` gives unit vectors (N, 384) of N phrases. Any text gives a scene, an empty one too.
    """
    matter = take_in(prompt, concepts)
    reading, names = matter.reading, matter.names
    planner = Planner(concepts, embed, matter.pieces)
    intent = reading.intent or planner.guess_intent(matter.text, reading)
    wish = planner.wish(intent, reading, names)
    shapes = {c.name: c for c in concepts.concepts if c.kind == "shape"}
    scene = lay_out(wish, shapes, shape, random.Random(f"{seed} {matter.text}"))
    stand_ins = tuple(dict.fromkeys([*planner.stand_ins, *wish.swapped]))
    unresolved = tuple(dict.fromkeys(reading.missed))
    notes = _notes(unresolved, stand_ins, names)
    return Revision(scene, caption(scene) + notes, unresolved, stand_ins, names)


def _notes(
    unresolved: tuple[str, ...], stand_ins: tuple[tuple[str, str], ...], names: tuple[str, ...]
) -> str:
    """Return what the caption does not say, as sentences to follow it."""
    parts = []
    if stand_ins:
        pairs = [f"“{_short(asked)}” as {drawn}" for asked, drawn in stand_ins[:MOST_NOTES]]
        parts.append(f"Drawn differently: {', '.join(pairs)}.")
    if unresolved:
        words = ", ".join(f"“{_short(word)}”" for word in unresolved[:MOST_NOTES])
        more = f" and {len(unresolved) - MOST_NOTES} more" if len(unresolved) > MOST_NOTES else ""
        parts.append(f"Not drawn: {words}{more}.")
    if names:
        words = ", ".join(f"“{_short(name)}”" for name in names[:MOST_NOTES])
        parts.append(f"Text not drawn: {words}.")
    return ". " + " ".join(parts) if parts else ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
