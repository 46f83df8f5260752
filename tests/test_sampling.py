"""For Gaussian data the ideal denoiser is linear and the end of the walk is known exactly."""

import math

import numpy as np
import pytest

from gouache.diffusion.sampling import ancestral, euler, guided, heun, watched
from gouache.diffusion.schedule import time_grid

MEAN, SPREAD = 0.3, 0.4


def ideal(x, t):
    """E[x0 | x] for x0 ~ N(MEAN, SPREAD^2) and x = t x0 + (1 - t) noise."""
    gain = t * SPREAD**2 / (t**2 * SPREAD**2 + (1 - t) ** 2)
    return MEAN + gain * (x - t * MEAN)


class Counted:
    def __init__(self, denoise=ideal):
        self.calls = []
        self.denoise = denoise

    def __call__(self, x, t):
        self.calls.append(t)
        return self.denoise(x, t)


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((2, 3, 8, 8), np.float32)


def error(sampler, steps, noise):
    end = sampler(ideal, noise, time_grid(steps, shift=1))
    return float(np.abs(end - (MEAN + SPREAD * noise)).mean())


@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (heun, 2)])
def test_a_sampler_converges_at_its_order(sampler, order, noise):
    measured = math.log2(error(sampler, 16, noise) / error(sampler, 32, noise))
    assert abs(measured - order) < 0.25


def test_heun_is_nearer_than_euler_for_the_same_number_of_calls(noise):
    assert error(heun, 10, noise) < error(euler, 19, noise) / 2


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_euler_calls_the_denoiser_n_times(steps, noise):
    denoise = Counted()
    euler(denoise, noise, time_grid(steps, shift=1))
    assert denoise.calls == time_grid(steps, shift=1)[:-1]


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_heun_calls_the_denoiser_2n_minus_1_times(steps, noise):
    denoise = Counted()
    heun(denoise, noise, time_grid(steps, shift=1))
    assert len(denoise.calls) == 2 * steps - 1


@pytest.mark.parametrize("sampler", [euler, heun])
def test_a_walk_ends_in_the_last_prediction(sampler, noise):
    end = sampler(lambda x, t: np.full_like(x, t), noise, time_grid(5, shift=1))
    assert end.dtype == np.float32
    np.testing.assert_array_equal(end, np.full_like(noise, 0.8))


@pytest.mark.parametrize("sampler", [euler, heun])
def test_a_picture_does_not_depend_on_its_neighbours(sampler, noise):
    ts = time_grid(5, shift=1)
    together, alone = sampler(ideal, noise, ts), sampler(ideal, noise[:1], ts)
    np.testing.assert_array_equal(together[:1], alone)


def test_ancestral_steps_are_eulers_until_noise_is_drawn_anew(noise):
    ts = time_grid(6, shift=1)
    rng = np.random.default_rng(1)
    late = ancestral(ideal, noise, ts, rng=rng, since=1.0)
    np.testing.assert_allclose(late, euler(ideal, noise, ts), atol=1e-5)


def test_ancestral_forgets_the_noise_that_it_replaced(noise):
    ts = time_grid(12, shift=1)
    walks = [
        ancestral(ideal, start, ts, rng=np.random.default_rng(1), since=0.3)
        for start in (noise, -noise)
    ]
    apart = [euler(ideal, start, ts) for start in (noise, -noise)]
    assert np.abs(walks[0] - walks[1]).mean() < 0.1 * np.abs(apart[0] - apart[1]).mean()


def test_ancestral_calls_the_denoiser_n_times(noise):
    denoise = Counted()
    ancestral(denoise, noise, time_grid(7, shift=1), rng=np.random.default_rng(1))
    assert len(denoise.calls) == 7


def toward(x, t, condition):
    return np.full_like(x, condition)


def test_guidance_leans_away_from_the_unconditional(noise):
    for scale, expected in ((1, 2), (3, 4), (0, 1)):
        x0 = guided(toward, 2.0, 1.0, scale)(noise, 0.5)
        np.testing.assert_allclose(x0, expected)
        assert x0.dtype == np.float32


def test_guidance_1_asks_the_unconditional_nothing(noise):
    asked = []
    guided(lambda x, t, c: asked.append(c) or x, "cond", "uncond", 1)(noise, 0.5)
    assert asked == ["cond"]


def test_the_watcher_hears_of_each_prediction(noise):
    heard = []
    denoise = watched(ideal, lambda calls, x0: heard.append((calls, x0.shape)))
    end = euler(denoise, noise, time_grid(3, shift=1))
    assert heard == [(i, noise.shape) for i in (1, 2, 3)]
    np.testing.assert_array_equal(end, euler(ideal, noise, time_grid(3, shift=1)))


def test_what_the_watcher_raises_ends_the_walk(noise):
    def stop(calls, x0):
        raise KeyboardInterrupt

    denoise = Counted()
    with pytest.raises(KeyboardInterrupt):
        euler(watched(denoise, stop), noise, time_grid(3, shift=1))
    assert len(denoise.calls) == 1
