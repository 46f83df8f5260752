"""Training presets: everything that decides a run, as data."""

from dataclasses import dataclass, field, replace

from training.compose import GuideDamage
from training.model import DenoiserConfig


@dataclass(frozen=True)
class Preset:
    """One way to train the denoiser. Sides are pixels of the shorter side of a picture."""

    denoiser: DenoiserConfig
    side: int
    batch: int
    learning_rate: float
    steps: int
    cooldown: float = 0.3
    warmup_steps: int = 100
    ema: float = 0.9985
    weight_decay: float = 0.0
    clip: float = 1.0
    shapes: dict[str, float] = field(
        default_factory=lambda: {"square": 0.7, "wide": 0.15, "tall": 0.15}
    )
    text_dropped: float = 0.1
    layout_dropped: float = 0.15
    damage: GuideDamage = field(default_factory=GuideDamage)
    noisy_end: float = 0.6
    save_minutes: float = 6.0


PRESETS = {
    "smoke": Preset(
        DenoiserConfig(widths=(16, 16, 16), blocks=(1, 1, 1), embedding=32, layout_width=8),
        side=128,
        batch=2,
        learning_rate=1e-3,
        steps=4,
        save_minutes=60.0,
    ),
    "cpu": Preset(
        DenoiserConfig(widths=(64, 96, 160), blocks=(2, 2, 2), embedding=256, layout_width=48),
        side=128,
        batch=16,
        learning_rate=1.5e-3,
        steps=2080,
        cooldown=0.6,
        damage=GuideDamage(
            dropped=0.16, thing_dropped=0.07, other_style=0.1, moved=0.25, blurred=0.3, noisy=0.25
        ),
    ),
    "gpu": Preset(
        DenoiserConfig(
            widths=(64, 128, 256, 320),
            blocks=(2, 2, 3, 3),
            attention=(False, False, True, True),
            fold=2,
            embedding=448,
            layout_width=96,
            heads=8,
        ),
        side=256,
        batch=256,
        learning_rate=8e-4,
        steps=20000,
        warmup_steps=300,
        ema=0.9995,
        damage=GuideDamage(dropped=0.35, thing_dropped=0.15, other_style=0.3, moved=0.6),
    ),
}
"""`batch` is per process. A `gpu` picture is 256 x 256, its guide 128 x 128."""


@dataclass(frozen=True)
class Distillation:
    """One way to teach a student to draw in `segments` steps what its teacher draws in `within` each.

    `first` walks of the teacher are made before the training, and one from the student's own hand
    every `every` steps of it; a step learns from one of the last `pool` walks. `student` says how it
    is trained, and the size and number of the pictures of a walk.
    """

    student: Preset
    first: int
    every: int
    pool: int
    segments: int = 4
    within: int = 3
    guidance_scale: float = 1.6
    shift: float = 1.5


AS_DRAWN = {
    "text_dropped": 0.0,
    "layout_dropped": 0.0,
    "damage": GuideDamage(dropped=0, thing_dropped=0, other_style=0, moved=0, blurred=0, noisy=0),
}
"""Scenes as the package draws them: nothing is dropped, no guide is damaged."""

DISTILLATIONS = {
    "smoke": Distillation(
        replace(PRESETS["smoke"], learning_rate=3e-4, warmup_steps=1, **AS_DRAWN),
        first=2,
        every=2,
        pool=3,
    ),
    "cpu": Distillation(
        replace(
            PRESETS["cpu"],
            learning_rate=1e-4,
            steps=400,
            warmup_steps=20,
            ema=0.98,
            save_minutes=5.0,
            **AS_DRAWN,
        ),
        first=40,
        every=10,
        pool=200,
    ),
    "gpu": Distillation(
        replace(
            PRESETS["gpu"], batch=64, learning_rate=2e-4, steps=8000, warmup_steps=50, **AS_DRAWN
        ),
        first=50,
        every=4,
        pool=100,
    ),
}
