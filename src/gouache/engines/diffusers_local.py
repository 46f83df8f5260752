"""Any text-to-image pipeline of diffusers on this machine: a repository of the hub, or a folder.

The model is loaded with the first picture and stays, until it was idle for long enough or memory runs
short; then it is loaded again when it is needed. What is wanted at the same time is drawn together, as
far as `max_batch` goes.
"""

import logging
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from gouache.contract import GenerateImage, Quality
from gouache.engines import (
    Capabilities,
    Drawing,
    OnStep,
    check_supported,
    choose_seed,
    read_options,
)
from gouache.engines.asking import Guidance, Steps
from gouache.engines.batching import Batcher
from gouache.engines.devices import GIGABYTE, Place, choose_place, free_memory, this_machine
from gouache.engines.families import preset_of
from gouache.engines.painting import Abandoned, Kind, Order, Painted, Painter, Wanted
from gouache.engines.pipelines import (
    Source,
    check_installed,
    find_folder,
    is_out_of_memory,
    let_go,
    open_pipeline,
    weight_bytes,
)
from gouache.engines.previews import Projection
from gouache.errors import Cancelled, EngineUnavailable, GouacheError
from gouache.settings import Settings

LOOK_SECONDS = 5.0
"""How often a model that rests looks whether its memory is wanted."""

MAX_BATCH_OF_CARD = 4

_log = logging.getLogger(__name__)
_engines: "weakref.WeakSet[DiffusersLocal]" = weakref.WeakSet()
"""The engines of this process: who needs memory asks the others for theirs."""


class Options(Source):
    """What a gateway's row tells this engine."""

    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$", description="Where it draws."
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="The numbers it draws with."
    )
    steps: Steps = Field(Steps(), description="Steps by quality; without them the model's preset.")
    guidance: Guidance = Field(Guidance(), description="Guidance by quality; likewise.")
    max_batch: int | None = Field(
        None, ge=1, le=64, description="Pictures drawn together; 4 on a graphics card, else 1."
    )
    batch_wait_ms: float = Field(
        30, ge=0, le=10_000, description="How long the first of a batch waits for others."
    )
    keep_loaded_seconds: float | None = Field(
        None, ge=0, description="How long it stays loaded idle; without it, while there is memory."
    )
    keep_free_gb: float = Field(
        1, ge=0, description="An idle model is unloaded when less memory than this is free."
    )


class DiffusersLocal:
    """Draws with a model of diffusers, in this process."""

    def __init__(
        self, settings: Settings, options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Read the options; nothing is loaded yet.

        Raises:
            SettingsError: an option is unknown or has a bad value.
            EngineError: a library is not installed.
        """
        self._options = read_options(Options, options)
        check_installed()
        self._model = self._options.shown
        self.capabilities = Capabilities(
            models={"dall-e-3": self._model, self._model: self._model}, provider=None
        )
        self._threads = settings.threads
        self._projection = Projection()
        self._place: Place | None = None
        self._painter: Painter | None = None
        self._used = 0.0
        self._using = threading.Lock()
        self._batcher: Batcher[Wanted, Painted] = Batcher(
            self._paint,
            name=f"gouache-{self._model}",
            max_batch=self._options.max_batch or 1,
            wait_seconds=self._options.batch_wait_ms / 1000,
            rest=self._rest,
        )
        _engines.add(self)

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Draw the request, with others that came at the same time.

        Raises:
            UnsupportedByEngine: a field asks for what it cannot do.
            ContentRefused: the model's own filter refuses the picture.
            EngineError: the model cannot be loaded, or failed.
            EngineUnavailable: there is not enough memory, or the hub cannot be reached.
            SettingsError: the device of the options is not there.
            Cancelled: `on_step` raised it.
        """
        check_supported(request, self.capabilities)
        wanted = Wanted(request.prompt, choose_seed(request))
        kind = self._kind(request)
        painted = self._batcher.make(kind, wanted, on_step, steps=kind.steps or 1)
        return Drawing(
            pixels=painted.pixels,
            model=self._model,
            seed=wanted.seed,
            revised_prompt=request.prompt,
            unresolved=painted.unread,
            warnings=painted.warnings,
        )

    def explain(self) -> tuple[str, ...]:
        """Return sentences on where and how it draws.

        Raises:
            SettingsError: the device of the options is not there.
        """
        place = self._find_place()
        loaded = "loaded" if self.is_loaded else "not loaded"
        return (*place.why, f"{self._max_batch(place)} at most together; {loaded}")

    def unload(self) -> bool:
        """Let go of the model unless it draws; return whether that was done."""
        if not self._using.acquire(blocking=False):
            return False
        try:
            return self._let_go()
        finally:
            self._using.release()

    def close(self) -> None:
        """Let the batch at work end, and let go of the model."""
        self._batcher.close()
        self.unload()

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._painter is not None

    def _kind(self, request: GenerateImage) -> Kind:
        """Return what a request has in common with those it can be drawn with."""
        quality: Quality = request.quality
        preset = preset_of(self._model)
        steps = getattr(self._options.steps, quality)
        guidance = getattr(self._options.guidance, quality)
        return Kind(
            width=request.width,
            height=request.height,
            quality=quality,
            steps=getattr(preset, quality) if steps is None else steps,
            guidance=preset.guidance if guidance is None else guidance,
        )

    def _paint(self, orders: Sequence[Order]) -> Sequence[Painted | GouacheError]:
        """Draw a batch; where memory runs out, once more one by one with a frugal decoder."""
        with self._using:
            painter = self._load()
            kind = orders[0].key
            assert isinstance(kind, Kind)
            try:
                return painter.paint(kind, orders)
            except Abandoned:
                return [Cancelled("nobody waits for the picture any more")] * len(orders)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            finally:
                self._used = time.monotonic()
            _log.warning("memory ran out for %s pictures of %s", len(orders), self._model)
            self._batcher.max_batch = max(1, len(orders) // 2)
            return [self._paint_frugally(painter, kind, order) for order in orders]

    def _paint_frugally(self, painter: Painter, kind: Kind, order: Order) -> Painted | GouacheError:
        let_go(self._find_place().device)
        _unload_others(self)
        try:
            return painter.paint(kind, [order], in_tiles=True)[0]
        except Abandoned:
            return Cancelled("nobody waits for the picture any more")
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        let_go(self._find_place().device)
        return EngineUnavailable(
            "memory ran out, even for one picture: set offload, quantisation or another device"
        )

    def _load(self) -> Painter:
        """Return what draws; the model is loaded where it is not."""
        if self._painter is None:
            begun = time.monotonic()
            folder = find_folder(self._options)
            place = self._find_place()
            self._make_room(folder, place)
            self._painter = Painter(open_pipeline(self._options, place, folder), self._projection)
            _log.info(
                "loaded %s in %.1f s: %s",
                self._model,
                time.monotonic() - begun,
                "; ".join(place.why),
            )
        return self._painter

    def _find_place(self) -> Place:
        """Return where to draw; what depends on it is set with the first call."""
        if self._place is None:
            if self._threads:
                import torch

                torch.set_num_threads(self._threads)
            self._place = choose_place(
                this_machine(), device=self._options.device, dtype=self._options.dtype
            )
            self._batcher.max_batch = self._max_batch(self._place)
        return self._place

    def _max_batch(self, place: Place) -> int:
        return self._options.max_batch or (MAX_BATCH_OF_CARD if place.kind == "cuda" else 1)

    def _make_room(self, folder: Path, place: Place) -> None:
        """Ask other models for their memory, the one first that rests longest."""
        if place.device == "mps" or self._options.offload != "none":
            return
        needed = weight_bytes(folder) + self._options.keep_free_gb * GIGABYTE
        for other in sorted(_others(self, place), key=lambda engine: engine._used):
            if free_memory(place.device) >= needed:
                return
            other.unload()

    def _rest(self, idle: float) -> float | None:
        """Unload the model where it is time to; return when to look again."""
        if not self.is_loaded:
            return None
        keep = self._options.keep_loaded_seconds
        if keep is not None and idle >= keep:
            _log.info("unloading %s: idle for %.0f s", self._model, idle)
            return None if self.unload() else LOOK_SECONDS
        if self._is_short_of_memory():
            _log.info("unloading %s: memory is short", self._model)
            return None if self.unload() else LOOK_SECONDS
        return min(LOOK_SECONDS, keep - idle) if keep is not None else LOOK_SECONDS

    def _is_short_of_memory(self) -> bool:
        device, least = self._find_place().device, self._options.keep_free_gb * GIGABYTE
        if device == "mps" or free_memory(device) >= least:
            return False
        let_go(device)  # what was kept for the next picture may be enough
        return free_memory(device) < least

    def _let_go(self) -> bool:
        was_loaded = self.is_loaded
        self._painter = None
        if was_loaded:
            let_go(self._find_place().device)
        return was_loaded


def _others(engine: DiffusersLocal, place: Place) -> list[DiffusersLocal]:
    """Return the other engines that have a model on a device."""
    return [
        other
        for other in list(_engines)
        if other is not engine and other.is_loaded and other._find_place().device == place.device
    ]


def _unload_others(engine: DiffusersLocal) -> None:
    for other in _others(engine, engine._find_place()):
        other.unload()
