"""The time grid: at which times of the walk from noise to picture the denoiser is asked.

Time t is a float, 0 at pure noise and 1 at the clean picture; a grid is increasing, from 0 to 1.
"""


def time_grid(num_inference_steps: int, *, shift: float) -> list[float]:
    """Return the num_inference_steps + 1 times of a walk.

    `shift` 1 spaces them evenly; above 1 they crowd towards the noise, where the layout is settled.

    Source: Esser et al. 2024 (arXiv:2403.03206), equation 23, with sigma = 1 - t.
    """
    if num_inference_steps < 1:
        raise ValueError(f"num_inference_steps must be at least 1; not {num_inference_steps}")
    even = [1 - i / num_inference_steps for i in range(num_inference_steps + 1)]
    return [1 - shift * sigma / (1 + (shift - 1) * sigma) for sigma in even]
