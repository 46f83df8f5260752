"""The upscaler at run time: no seams where its parts meet, and edges as crisp as before."""

from pathlib import Path

import numpy as np
import pytest

from gouache.diffusion import weights
from gouache.diffusion.graphs import Runtime
from gouache.diffusion.upscaler import SEAM, Upscaler, without_seams

WEIGHTS = Path(__file__).parents[1] / "src" / "gouache" / "weights"


def steps(large, axis, factor=8):
    """Return the mean step between neighbours: at the borders of parts, and elsewhere."""
    size = abs(np.diff(large, axis=axis)).mean(tuple(a for a in range(4) if a != axis))
    at_border = np.arange(1, len(size) + 1) % factor == 0
    return size[at_border].mean(), size[~at_border].mean()


@pytest.fixture
def mottled():
    """A smooth area as the graph leaves it: flat parts, each a little off."""
    small = np.random.default_rng(1).uniform(-0.02, 0.02, (1, 3, 20, 28)).astype(np.float32)
    return small.repeat(8, 2).repeat(8, 3)


@pytest.mark.parametrize("axis", [2, 3])
def test_small_steps_become_slopes(mottled, axis):
    border, elsewhere = steps(mottled, axis)
    assert border > 0.01 > elsewhere == 0
    border, elsewhere = steps(without_seams(mottled, 8), axis)
    assert border == pytest.approx(elsewhere, rel=0.3)
    assert without_seams(mottled, 8).mean() == pytest.approx(mottled.mean(), abs=1e-3)


def test_edges_stay_as_they_are():
    x = np.full((1, 3, 64, 96), -0.5, np.float32)
    x[..., 40:] += 2 * SEAM  # on the border of two parts
    np.testing.assert_array_equal(without_seams(x, 8), x)
    x[:, 1] = -0.5  # in one channel alone it is an edge, too
    np.testing.assert_array_equal(without_seams(x, 8), x)


def test_a_slope_across_parts_is_no_seam():
    x = np.linspace(-0.8, 0.8, 96, dtype=np.float32)[None, None, None].repeat(3, 1).repeat(64, 2)
    assert abs(without_seams(x, 8) - x).max() < 0.01


@pytest.mark.skipif(not (WEIGHTS / weights.UPSCALER).exists(), reason="the weights are not here")
@pytest.mark.parametrize("size", [(32, 32), (32, 56), (56, 32)])
def test_the_shipped_upscaler_leaves_no_seams_and_no_rim(size):
    """On a mottled ground with a disc, as the denoiser draws it."""
    upscaler = Upscaler(WEIGHTS / weights.UPSCALER, runtime=Runtime(threads=1))
    noise = np.random.default_rng(2).normal(0, 0.01, (1, 3, *size))
    down, across = np.indices(size)
    inside = np.hypot(down - size[0] / 2, across - size[1] / 2) < 10
    small = np.where(inside, 0.6, -0.3) + noise
    large = upscaler(small.astype(np.float32))
    assert large.shape == (1, 3, 8 * size[0], 8 * size[1])
    flat = large[..., :40, :]  # away from the disc
    for axis in (2, 3):
        border, elsewhere = steps(flat, axis)
        assert border < 1.6 * elsewhere + 0.001
    rim = np.concatenate([large[..., :8, :].ravel(), large[..., -8:, :].ravel()])
    assert np.median(rim) == pytest.approx(-0.3, abs=0.02)
    edge = abs(np.diff(large, axis=3))[..., 4 * size[0], :].max()
    assert edge > 0.2, "the disc's edge, 0.9 high, is not smeared over its small pixel"
