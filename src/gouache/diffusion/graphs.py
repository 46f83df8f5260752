"""OpenVINO behind one call: arrays in, arrays out.

A graph is read and compiled when it is first called, for every size of picture at once; the
compiled form is kept on disk, so that the next process starts faster.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray

from gouache.errors import WeightsUnusable

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Runtime:
    """How graphs run: `threads` 0 takes every core; `cache_dir` None, or a closed one, keeps nothing."""

    threads: int = 0
    cache_dir: Path | None = None

    def properties(self) -> dict[str, Any]:
        """Return the runtime's own names for these choices.

        fp32 everywhere, also where the CPU has a shorter type: same seed, same pixels matters more.
        """
        chosen: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self.threads,
        }
        if self.cache_dir is not None and _can_be_kept(self.cache_dir):
            chosen["CACHE_DIR"] = str(self.cache_dir)
        return chosen


def _can_be_kept(folder: Path) -> bool:
    """Make the folder; without it OpenVINO would refuse to run, and we only start slower."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


class Graph:
    """One stored network. Its sizes stay open: compiling per picture shape gained 10 % at most."""

    def __init__(self, path: Path, *, runtime: Runtime) -> None:
        """Remember where the graph lies; nothing is read yet."""
        self._path = path
        self._runtime = runtime
        self._request: ov.InferRequest | None = None

    def __call__(self, *inputs: NDArray[Any]) -> tuple[Array, ...]:
        """Run the network on `inputs`, given in its own order, and return copies of its outputs.

        Raises:
            WeightsUnusable: the graph cannot be read or compiled.
        """
        if self._request is None:
            self._request = self._compile()
        request = self._request
        request.infer(dict(enumerate(inputs)), share_inputs=True)
        return tuple(
            np.array(request.get_output_tensor(i).data) for i in range(len(request.model_outputs))
        )

    def _compile(self) -> ov.InferRequest:
        try:
            core = ov.Core()
            model = core.read_model(self._path)
            compiled = core.compile_model(model, "CPU", self._runtime.properties())
            return compiled.create_infer_request()
        except RuntimeError as error:
            raise WeightsUnusable(f"{self._path.name} cannot be used: {error}") from error
