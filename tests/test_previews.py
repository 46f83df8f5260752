import numpy as np
import pytest

from gouache.engines.previews import MAX_SIDE, Projection, as_grid

RNG = np.random.default_rng(5)
COLOURS = RNG.normal(0, 20, (4, 3))


def latents(height, width, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (height, width, 4)).astype(np.float32)


def picture(grid, scale):
    """The picture that a decoder makes which is linear."""
    colours = np.clip(128 + grid @ COLOURS, 0, 255).round().astype(np.uint8)
    return colours.repeat(scale, 0).repeat(scale, 1)


def test_it_knows_nothing_before_the_first_picture():
    projection = Projection()
    assert not projection.is_ready
    assert projection.preview(latents(8, 8)) is None


def test_a_linear_decoder_is_learnt_from_one_picture():
    projection = Projection()
    projection.learn(latents(32, 24), picture(latents(32, 24), 8))
    other = latents(24, 32, seed=1)
    shown = projection.preview(other)
    assert shown.shape == (24, 32, 3)
    assert np.abs(shown.astype(int) - picture(other, 1)).mean() < 8, (
        "scaled down where it is louder"
    )


def test_long_sides_are_brought_down():
    projection = Projection()
    projection.learn(latents(128, 224), picture(latents(128, 224), 2))
    shown = projection.preview(latents(128, 224, seed=2))
    assert max(shown.shape) <= MAX_SIDE
    assert abs(shown.shape[1] / shown.shape[0] - 224 / 128) < 0.05


def test_loud_noise_is_brought_down_to_what_was_learnt():
    projection = Projection()
    projection.learn(latents(32, 32), picture(latents(32, 32), 8))
    shown = projection.preview(20 * latents(32, 32, seed=3))
    assert (shown % 255 == 0).mean() < 0.01, "hardly any number is cut off"


@pytest.mark.parametrize("shape", [(4, 28, 16), (28 * 16, 4), (4, 1, 28, 16), (1, 4, 28, 16)])
def test_latents_of_every_form_become_the_same_grid(shape):
    grid = latents(28, 16)
    moved = np.moveaxis(grid, 2, 0)
    form = grid.reshape(-1, 4) if len(shape) == 2 else moved.reshape(shape)
    np.testing.assert_array_equal(as_grid(form, width=1024, height=1792), grid)


def test_latents_of_no_known_form_have_no_grid():
    assert as_grid(np.zeros((7, 4), np.float32), width=64, height=64) is None
    assert as_grid(np.zeros(7, np.float32), width=64, height=64) is None
