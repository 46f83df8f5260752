"""Our own model on the processor: the prompt becomes a scene, the scene a picture.

The weights are part of the package. They are read with the first picture, and checked as they are.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from gouache.concepts import Array, ConceptBank
from gouache.contract import GenerateImage
from gouache.diffusion.pipeline import Pipeline
from gouache.engines import (
    Capabilities,
    Drawing,
    NoOptions,
    OnStep,
    Pixels,
    Step,
    check_supported,
    choose_seed,
    read_options,
)
from gouache.lettering import letter
from gouache.prompts import Revision, revise
from gouache.rewriting import rewrite
from gouache.scene import STYLES, caption, in_words, rgb
from gouache.settings import Settings
from gouache.typeroom import room

MODEL = "gouache-1"
PALE_INKS = ("yellow", "light grey", "cream", "beige")
"""Colours that type is not set in, though they may stand out."""

SHAPE_OF_SIZE = {"1024x1024": "square", "1024x1792": "tall", "1792x1024": "wide"}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What is kept in memory between pictures."""

    pipeline: Pipeline
    concepts: ConceptBank


class EmbeddedEngine:
    """Draws with the model that the package ships; no network, no other program."""

    def __init__(
        self,
        settings: Settings,
        options: Mapping[str, Any] = MappingProxyType({}),
        *,
        weights: Path | None = None,
    ) -> None:
        """Remember the settings; `weights` is another folder of weights than the package's."""
        read_options(NoOptions, options)
        self.capabilities = Capabilities(
            models={"dall-e-3": MODEL, MODEL: MODEL}, styles=tuple(STYLES), provider=None
        )
        self._settings = settings
        self._weights = weights or Path(str(files("gouache") / "weights"))
        self._loaded: _Loaded | None = None
        self._loading = threading.Lock()

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Draw the request.

        Raises:
            UnsupportedByEngine: a field asks for what it cannot do.
            WeightsUnusable: the weights are missing or damaged.
            Cancelled: `on_step` raised it.
        """
        check_supported(request, self.capabilities)
        seed = choose_seed(request)
        loaded = self._load()
        pipeline = loaded.pipeline
        rewritten = rewrite(request.prompt, self._settings)
        revision = revise(
            rewritten.prompt,
            shape=SHAPE_OF_SIZE[request.size],
            concepts=loaded.concepts,
            embed=partial(_embed, pipeline),
            seed=seed,
            style=request.style,
        )
        pixels = pipeline(
            revision.scene,
            caption(in_words(revision.scene)),
            num_inference_steps=pipeline.model.drawing.num_inference_steps[request.quality],
            seed=seed,
            on_step=partial(_report, on_step) if on_step else None,
        )
        if revision.lettering:
            pixels = _lettered(pixels, revision)
        return Drawing(
            pixels=pixels,
            model=MODEL,
            seed=seed,
            revised_prompt=revision.revised_prompt,
            unresolved=revision.unresolved,
            warnings=(*rewritten.warnings, *_warnings(request, revision, pipeline)),
        )

    def close(self) -> None:
        """Let go of the weights."""
        with self._loading:
            self._loaded = None

    def _load(self) -> _Loaded:
        with self._loading:
            if self._loaded is None:
                pipeline = Pipeline.open(
                    self._weights,
                    threads=self._settings.threads,
                    cache_dir=self._settings.cache_dir,
                )
                self._loaded = _Loaded(pipeline, ConceptBank.load(self._weights))
            return self._loaded


def _embed(pipeline: Pipeline, phrases: list[str]) -> Array:
    return pipeline.text_encoder.vectors(phrases)


def _lettered(pixels: Pixels, revision: Revision) -> Pixels:
    """Return the picture with its words, in a colour of its own where one can be read."""
    made = room(revision.scene)
    inks = [rgb(i.colour) for i in revision.scene.items if i.colour and i.colour not in PALE_INKS]
    return letter(
        pixels,
        revision.lettering,
        made.zone,
        inks=inks[:3],
        left=made.is_left,
        plate=made.is_over,
    )


def _report(on_step: OnStep, step: int, steps: int, preview: Pixels) -> None:
    on_step(Step(step, steps, np.ascontiguousarray(preview)))


def _warnings(request: GenerateImage, revision: Revision, pipeline: Pipeline) -> list[str]:
    """Return sentences on what is drawn otherwise than the request's fields or the scene ask."""
    scene = revision.scene
    sentences = list(revision.warnings)
    if request.style not in (None, scene.style):
        sentences.append(
            f"drawn in {STYLES[scene.style]}: something in it is not known in {STYLES[request.style]}"
        )
    for concept, style in pipeline.undrawn(scene).items():
        taken = f"follows one in {STYLES[style]}" if style else "has no reference to follow"
        sentences.append(f"the {concept} {taken}")
    return sentences
