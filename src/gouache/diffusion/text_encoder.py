"""Text to vectors: word pieces, then the MiniLM graph.

Token states are (N, 48, 384) float32, zero at padding, with a mask (N, 48) that is 1 at real
tokens; phrase vectors are (N, 384), the mean of a phrase's token states at length 1.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from gouache.diffusion.graphs import Graph, Runtime

Array = NDArray[np.float32]

MAX_TOKENS = 48
"""Longer texts are cut to this many word pieces, the two marks at the ends included."""


class TextEncoder:
    """MiniLM behind two questions: the states of a caption, the vectors of some phrases."""

    def __init__(self, graph: Path, tokenizer: Path, *, runtime: Runtime) -> None:
        """Open the graph `graph` (.xml) and the word pieces `tokenizer` (.json)."""
        self._graph = Graph(graph, runtime=runtime)
        self._pieces = Tokenizer.from_file(str(tokenizer))
        self._pieces.no_padding()
        self._pieces.enable_truncation(MAX_TOKENS)

    def states(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Return the token states (N, 48, 384) and the mask (N, 48) of `texts`."""
        states, mask, _ = self._encode(texts)
        padding = MAX_TOKENS - mask.shape[1]
        return (
            np.pad(states, ((0, 0), (0, padding), (0, 0))),
            np.pad(mask, ((0, 0), (0, padding))),
        )

    def vectors(self, phrases: Sequence[str]) -> Array:
        """Return one vector of length 1 for each phrase: (N, 384)."""
        if not phrases:
            return np.zeros((0, 384), np.float32)
        return self._encode(phrases)[2]

    def _encode(self, texts: Sequence[str]) -> tuple[Array, Array, Array]:
        rows = [piece.ids for piece in self._pieces.encode_batch(list(texts))]
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros(ids.shape, np.float32)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        states, vectors = self._graph(ids, mask)
        return states, mask, vectors
