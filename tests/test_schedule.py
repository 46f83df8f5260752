import numpy as np
import pytest

from gouache.diffusion.schedule import time_grid


@pytest.mark.parametrize("shift", [0.5, 1, 1.5, 3])
@pytest.mark.parametrize("steps", [1, 2, 10, 50])
def test_a_grid_runs_from_noise_to_picture(steps, shift):
    ts = time_grid(steps, shift=shift)
    assert len(ts) == steps + 1
    assert ts[0] == 0
    assert ts[-1] == 1
    assert all(np.diff(ts) > 0)


def test_shift_1_is_even():
    np.testing.assert_allclose(time_grid(4, shift=1), [0, 0.25, 0.5, 0.75, 1])


def test_a_greater_shift_crowds_towards_the_noise():
    even, shifted = np.array(time_grid(10, shift=1)), np.array(time_grid(10, shift=3))
    assert (shifted[1:-1] < even[1:-1]).all()
    # At sigma = 1/2 the formula gives sigma' = s / (1 + s).
    np.testing.assert_allclose(shifted[5], 1 - 3 / 4)


def test_no_steps_is_an_error():
    with pytest.raises(ValueError, match="at least 1; not 0"):
        time_grid(0, shift=1)
