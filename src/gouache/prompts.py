"""Prompt revision: free text in, a scene that the denoiser was trained to draw out.

Text is taken in (`messages`): tagged (`tagging`) and read (`reading`), a letter or a record by what
matters in it. Then concepts of the bank are chosen for it (`planning`) and laid out (`layouts`).
Whatever is not drawn as asked is said in the revised prompt. The same prompt, shape and seed give the
same scene.

How much of realistic prompts is understood is measured and told in `tests/test_prompts.py`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from gouache.concepts import ConceptBank, Embed
from gouache.layouts import lay_out
from gouache.lettering import Line
from gouache.messages import take_in
from gouache.planning import Planner
from gouache.scene import Scene, caption
from gouache.typeroom import make_room
from gouache.wording import Wording, choose_words

MOST_NOTES = 8


@dataclass(frozen=True, slots=True)
class Revision:
    """A prompt made drawable.

    `revised_prompt` is the caption the denoiser gets, followed in words by what is set as type and
    what could not be drawn as asked. `unresolved` are words that nothing in the picture stands for,
    `stand_ins` pairs (asked, drawn), `overlay_text` the names and quoted words of the prompt, and
    `lettering` those of them that are to be set over the picture, as lines. `warnings` are sentences
    on words that cannot be set.
    """

    scene: Scene
    revised_prompt: str
    unresolved: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...]
    overlay_text: tuple[str, ...]
    lettering: tuple[Line, ...] = ()
    warnings: tuple[str, ...] = ()


def revise(
    prompt: str,
    *,
    shape: str,
    concepts: ConceptBank,
    embed: Embed,
    seed: int,
    style: str | None = None,
) -> Revision:
    """Return the scene a prompt asks for on a canvas of `shape`, and what of it is not drawn.

    `embed` gives unit vectors (N, 384) of N phrases; `style` wins over what the prompt says of it. Any
    text gives a scene, an empty one too.
    """
    matter = take_in(prompt, concepts)
    reading = matter.reading
    reading.style = style or reading.style
    planner = Planner(concepts, embed, matter.pieces)
    intent = reading.intent or planner.guess_intent(matter.text, reading)
    names = tuple(name.text for name in matter.names if name.how != "place")
    wish = planner.wish(intent, reading, names)
    shapes = {c.name: c for c in concepts.concepts if c.kind == "shape"}
    scene = lay_out(wish, shapes, shape, random.Random(f"{seed} {matter.text}"))
    wording = choose_words(matter.request, matter.names, intent)
    if wording.lines:
        scene = make_room(scene)
    stand_ins = tuple(dict.fromkeys([*planner.stand_ins, *wish.swapped]))
    unresolved = tuple(dict.fromkeys([*reading.missed, *wording.refused]))
    notes = _notes(reading.missed, stand_ins, wording)
    return Revision(
        scene=scene,
        revised_prompt=caption(scene) + notes,
        unresolved=unresolved,
        stand_ins=stand_ins,
        overlay_text=names,
        lettering=wording.lines,
        warnings=wording.warnings,
    )


def _notes(
    unresolved: Sequence[str], stand_ins: Sequence[tuple[str, str]], wording: Wording
) -> str:
    """Return what the caption does not say, to follow it."""
    parts = []
    if stand_ins:
        pairs = [f"“{_short(asked)}” as {drawn}" for asked, drawn in stand_ins[:MOST_NOTES]]
        parts.append(f"Drawn differently: {', '.join(pairs)}.")
    if unresolved:
        more = f" and {len(unresolved) - MOST_NOTES} more" if len(unresolved) > MOST_NOTES else ""
        parts.append(f"Not drawn: {_quoted(unresolved)}{more}.")
    if wording.unset:
        parts.append(f"Text not drawn: {_quoted(wording.unset)}.")
    said = _quoted([line.text for line in wording.lines])
    words = f", with the words {said}" if said else ""
    return words + (". " + " ".join(parts) if parts else "")


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"“{_short(word)}”" for word in words[:MOST_NOTES])


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
