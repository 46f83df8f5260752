"""Textures as masks: of the right shape, smooth at their edges, of two colours in fair shares."""

import numpy as np
import pytest

from gouache import scene
from gouache.diffusion import textures


def test_every_texture_but_the_gradient_has_shapes():
    assert {*textures.TEXTURES, "gradient"} == set(scene.TEXTURES)


@pytest.mark.parametrize("size", [(64, 64), (112, 64), (64, 112), (96, 96)])
@pytest.mark.parametrize("kind", textures.TEXTURES)
def test_both_colours_show_and_edges_are_smooth(kind, size):
    marks = textures.mask(kind, *size)
    assert marks.shape == size
    assert marks.dtype == np.float32
    assert (marks.min(), marks.max()) == (0, 1)
    assert 0.02 < marks.mean() < 0.6
    if kind != "checks":  # their edges may fall between pixels
        assert ((marks > 0) & (marks < 1)).any()


@pytest.mark.parametrize("kind", textures.TEXTURES)
def test_a_texture_is_the_same_at_every_size(kind):
    large = textures.mask(kind, 128, 128).reshape(64, 2, 64, 2).mean((1, 3))
    assert abs(large - textures.mask(kind, 64, 64)).mean() < 0.02


def test_stripes_are_oblique_and_as_wide_as_the_gaps():
    marks = textures.mask("stripes", 96, 96)
    assert marks.mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(marks[0, 1:], marks[1, :-1], atol=1e-6)


def test_rays_come_from_the_middle():
    marks = textures.mask("rays", 96, 96)
    turned = np.rot90(marks, 2)
    ring = np.hypot(*(np.indices((96, 96)) - 47.5)) > 40
    assert abs(marks - turned)[ring].mean() < 0.01
    assert marks[ring].mean() == pytest.approx(0.5, abs=0.03)
