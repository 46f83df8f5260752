"""The upscaler and its training pairs, at tiny sizes."""

import json
import lzma
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from training import upscale, upscale_pairs

DISC = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">'
    '<linearGradient id="a"><stop stop-color="red"/><stop offset="1"/></linearGradient>'
    '<circle cx="16" cy="16" r="14" fill="url(#a)"/></svg>'
)
GLYPH = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">'
    '<path fill="#000" d="M4 4h24v24z"/></svg>'
)
DRAWINGS = {"noto": [DISC], "fluent-emoji-high-contrast": [GLYPH]}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # several threads wait for each other on a busy machine


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.jsonl.xz"
    rows = [{"id": f"noto:{n}", "svg": DISC} for n in range(40)]
    rows += [{"id": f"twemoji:{n}", "svg": GLYPH} for n in range(40)]
    rows += [{"id": "tabler:cat", "svg": GLYPH}]
    with lzma.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def scrambled(network):
    """Give a network the far-from-zero weights of a trained one."""
    with torch.no_grad():
        for weights in network.parameters():
            weights.normal_(0, 0.2)
    return network


def test_bilinear_weights_sum_to_one():
    weights = upscale.bilinear_weights(8)
    assert weights.shape == (9, 64)
    assert torch.allclose(weights.sum(0), torch.ones(64))


def test_untrained_network_is_bilinear_interpolation():
    x = torch.rand(2, 3, 6, 10) * 2 - 1
    y = upscale.Upscaler(8, 2)(x)
    expected = F.interpolate(x, scale_factor=8, mode="bilinear")
    assert y.shape == (2, 3, 48, 80)
    assert (y - expected).abs().max() < 0.03


def test_output_stays_in_range():
    y = scrambled(upscale.Upscaler(8, 4))(torch.rand(1, 3, 8, 14) * 2 - 1)
    assert y.shape == (1, 3, 64, 112)
    assert y.abs().max() <= 1 + 1e-6


def test_flat_area_stays_flat_whatever_the_weights():
    y = scrambled(upscale.Upscaler(8, 2))(torch.full((1, 3, 24, 24), 0.1))
    inside = y[..., 64:128, 64:128]  # out of the borders' sight
    assert (inside - inside[..., :1, :1]).abs().max() < 1e-5


def test_held_out_names_are_in_no_family_of_the_training_set(vectors):
    train, held = upscale_pairs.load_drawings(vectors)
    assert len(train["noto"]) == len(train["twemoji"])
    assert len(held["noto"]) == len(held["twemoji"]) > 0
    assert len(train["noto"]) + len(held["noto"]) == 40
    assert sum(map(len, train.values())) + sum(map(len, held.values())) == 80


def test_scenes_repeat_by_seed_and_render():
    first, second = (upscale_pairs.scene_svg(DRAWINGS, random.Random(4), 256) for _ in range(2))
    assert first == second
    scene = upscale_pairs.render(first)
    assert scene.shape == (3, 256, 256)
    assert scene.float().std() > 1


def test_damage_keeps_shape_and_range_and_leaves_some_clean():
    low = torch.rand(3, 32, 32) * 2 - 1
    results = [upscale_pairs.damage(low, random.Random(n)) for n in range(40)]
    assert all(r.shape == low.shape and r.abs().max() <= 1 for r in results)
    clean = sum(torch.equal(r, low) for r in results)
    assert 2 <= clean <= 25


def test_block_softening_keeps_each_blocks_mean():
    x = torch.rand(1, 3, 16, 16)
    soft = upscale_pairs._block_softened(x, 4, 0.5)
    assert torch.allclose(F.avg_pool2d(soft, 4), F.avg_pool2d(x, 4), atol=1e-5)
    assert soft.var() < x.var()


def test_crops_register_with_their_large_pictures():
    pairs = upscale_pairs.Pairs(DRAWINGS, random.Random(1), pool=1)
    low, high = pairs.batch(4)
    assert low.shape == (4, 3, 32, 32)
    assert high.shape == (4, 3, 256, 256)
    # Damage is mild: the reduced large picture stays close.
    assert (low - upscale_pairs.reduce_area(high)).abs().mean() < 0.1


def test_own_pairs_are_mixed_in_without_damage():
    low = np.full((1, 40, 48, 3), 255, np.uint8)
    high = np.zeros((1, 320, 384, 3), np.uint8)
    own = (low, high)
    pairs = upscale_pairs.Pairs(DRAWINGS, random.Random(2), pool=1, own=own)
    low, high = pairs.batch(16)
    is_own = [bool((a == 1).all() and (b == -1).all()) for a, b in zip(low, high, strict=True)]
    assert 2 <= sum(is_own) <= 14


def test_edge_energy_tells_soft_from_crisp():
    truth = torch.ones(1, 3, 32, 32)
    truth[..., :16] = -1
    soft = F.avg_pool2d(F.pad(truth, (2, 2, 2, 2), mode="replicate"), 5, 1)
    assert upscale.edge_energy(truth, truth) == 1
    assert upscale.edge_energy(soft, truth) < 0.5
    assert upscale.psnr(soft, truth) < 25


def test_training_leaves_a_checkpoint_and_resumes(vectors, tmp_path):
    out = tmp_path / "upscaler.pt"
    options = ["--vectors", str(vectors), "--out", str(out), "--width", "8", "--depth", "2"]
    options += ["--batch", "2", "--pool", "1", "--held", "1"]
    upscale.main([*options, "--minutes", "0.02"])
    first = torch.load(out, weights_only=True)
    upscale.main([*options, "--minutes", "0.03", "--resume"])
    second = torch.load(out, weights_only=True)
    assert second["step"] > first["step"] > 0
    assert out.with_suffix(".png").exists()
    network = upscale.load_upscaler(out)
    assert isinstance(network, nn.Module)
    assert network.config == {"width": 8, "depth": 2, "scale": 8}


def test_thirty_steps_lower_the_loss_on_one_batch():
    trainer = upscale.Trainer(upscale.Upscaler(8, 2), minutes=10, rate=2.4e-2, batch=2)
    pairs = upscale_pairs.Pairs(DRAWINGS, random.Random(3), pool=1)
    fixed = pairs.batch(2)
    pairs.batch = lambda size: fixed
    losses = [trainer.train_step(pairs) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]
