"""Vectors of every phrase of the concept bank, so that a prompt is matched in milliseconds.

`python -m training.concept_vectors` reads `concepts.json` and the text encoder in the weights
folder and writes `concept_vectors.npz` beside them. Run it again whenever the bank changes.
"""

import argparse
from pathlib import Path

import numpy as np

from gouache.concepts import phrase_list, read_concepts, write_vectors
from gouache.diffusion.graphs import Runtime
from gouache.diffusion.text_encoder import TextEncoder

BATCH = 64


def main() -> None:
    """Embed the bank's phrases and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights"))
    folder = parser.parse_args().bank
    encoder = TextEncoder(folder / "text-encoder.xml", folder / "tokenizer.json", runtime=Runtime())
    phrases = phrase_list(read_concepts(folder / "concepts.json"))
    # Phrases of like length share a batch: padding changes nothing but the time it takes.
    order = sorted(range(len(phrases)), key=lambda i: len(phrases[i]))
    vectors = np.zeros((len(phrases), 384), np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        vectors[rows] = encoder.vectors([phrases[i] for i in rows])
    path = folder / "concept_vectors.npz"
    write_vectors(path, phrases, vectors)
    print(f"{path}: {len(phrases)} phrases, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
