"""OpenVINO behind one call: arrays in, arrays out.

A graph is compiled when it is first called, once for each set of input shapes that is asked for
by name, and the result is kept on disk, so that the next process starts in a fraction of a second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Runtime:
    """How graphs run: `threads` 0 takes every core; `cache_dir` None keeps nothing on disk."""

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
        if self.cache_dir is not None:
            chosen["CACHE_DIR"] = str(self.cache_dir)
        return chosen


class Graph:
    """One stored network. With `static`, it is compiled anew for each set of input shapes."""

    def __init__(self, path: Path, *, runtime: Runtime, static: bool = False) -> None:
        """Remember where the graph lies; nothing is read yet."""
        self._path = path
        self._runtime = runtime
        self._static = static
        self._requests: dict[tuple[tuple[int, ...], ...], ov.InferRequest] = {}

    def __call__(self, *inputs: NDArray[Any]) -> tuple[Array, ...]:
        """Run the network on `inputs`, given in its own order, and return its outputs."""
        shapes = tuple(a.shape for a in inputs) if self._static else ()
        if shapes not in self._requests:
            self._requests[shapes] = self._compile(shapes)
        request = self._requests[shapes]
        request.infer(dict(enumerate(inputs)), share_inputs=True)
        return tuple(
            np.array(request.get_output_tensor(i).data) for i in range(len(request.model_outputs))
        )

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> ov.InferRequest:
        core = ov.Core()
        model = core.read_model(self._path)
        if shapes:
            model.reshape({i: ov.PartialShape(list(s)) for i, s in enumerate(shapes)})
        compiled = core.compile_model(model, "CPU", self._runtime.properties())
        return compiled.create_infer_request()
