"""The denoiser: a convolutional U-Net in pixel space that predicts the clean picture.

It works on any H x W divisible by 16. Conditioning arrives three ways (Blattmann et al. 2022,
arXiv:2204.11824, retrieval; Avrahami et al. 2022, arXiv:2211.14305, phrases painted into regions):

* the caption's token states, by cross attention on the two coarsest grids;
* the layout: one phrase vector and colour per entry, painted into its box at H/8 x W/8;
* the guide: low-resolution reference drawings with the wanted colours, as input channels.

Shapes: see `Denoiser.forward`. x-prediction after Li & He 2025 (arXiv:2511.13720).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEXT_WIDTH = 384
PHRASE_WIDTH = TEXT_WIDTH + 4
GUIDE_CHANNELS = 8


@dataclass(frozen=True)
class DenoiserConfig:
    """Widths per level from fine to coarse, blocks per level, and the pixels folded into one cell."""

    widths: tuple[int, ...] = (64, 128, 192)
    blocks: tuple[int, ...] = (2, 2, 2)
    attention: tuple[bool, ...] = (False, True, True)
    fold: int = 4
    embedding: int = 320
    layout_width: int = 64
    heads: int = 4
    detail: int = 24


class Block(nn.Module):
    """Residual block: two 3 x 3 convolutions, scaled and shifted by the embedding (AdaGN)."""

    def __init__(self, channels_in: int, channels: int, embedding: int):
        """Make the layers; the second convolution starts at zero."""
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        same = channels_in == channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, channels_in, R, C) to (B, channels, R, C)."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        y = self.conv1(F.silu(self.norm1(h)))
        y = self.conv2(F.silu(self.norm2(y) * (1 + scale) + shift))
        return self.skip(h) + y


class Attention(nn.Module):
    """Cells attend to the caption's tokens and to one another in one softmax."""

    def __init__(self, channels: int, heads: int):
        """Make the layers; the last starts at zero."""
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.text_key_value = nn.Linear(TEXT_WIDTH, 2 * channels)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Tensor, tokens: Tensor, token_mask: Tensor) -> Tensor:
        """Map cells (B, channels, R, C) to the same shape."""
        batch, channels, rows, columns = h.shape
        split = (batch, self.heads, channels // self.heads, rows * columns)
        q, k, v = (
            part.reshape(split).transpose(2, 3)
            for part in self.query_key_value(self.norm(h)).chunk(3, 1)
        )
        text = self.text_key_value(tokens).reshape(batch, -1, 2, self.heads, channels // self.heads)
        text_k, text_v = text.permute(2, 0, 3, 1, 4)
        k, v = torch.cat([text_k, k], 2), torch.cat([text_v, v], 2)
        cells = token_mask.new_ones(batch, rows * columns)
        allowed = torch.cat([token_mask, cells], 1)[:, None, None, :]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=(allowed - 1) * 1e4)
        return h + self.out(y.transpose(2, 3).reshape(batch, channels, rows, columns))


class Detail(nn.Module):
    """Corrects a prediction pixel by pixel, seeing the noisy picture at its full size.

    The U-Net works on folded cells; without this, fine edges have to squeeze through their width.
    """

    def __init__(self, width: int, embedding: int):
        """Make the layers; the correction starts at zero."""
        super().__init__()
        self.first = nn.Conv2d(6, width, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, x0: Tensor, embedding: Tensor) -> Tensor:
        """Return the corrected x0, (B, 3, H, W)."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = F.silu(self.first(torch.cat([x, x0], 1)) * (1 + scale) + shift)
        return x0 + self.last(F.silu(self.second(h)))


class Denoiser(nn.Module):
    """Predicts the clean picture x0 from a noisy one and its conditioning."""

    def __init__(self, config: DenoiserConfig):
        """Make the layers of a configuration; the network starts by predicting grey."""
        super().__init__()
        self.config = c = config
        self.time = nn.Sequential(
            nn.Linear(128, c.embedding), nn.SiLU(), nn.Linear(c.embedding, c.embedding)
        )
        self.text = nn.Linear(TEXT_WIDTH, c.embedding)
        self.ground = nn.Linear(PHRASE_WIDTH, c.embedding)
        self.layout = nn.Linear(PHRASE_WIDTH, c.layout_width)
        folded = 3 * c.fold**2 + GUIDE_CHANNELS * (c.fold // 2) ** 2
        self.enter = nn.Conv2d(folded, c.widths[0], 3, padding=1)
        entering = (c.widths[0], *c.widths[:-1])
        self.layout_in = nn.ModuleList(nn.Conv2d(c.layout_width, w, 1) for w in entering)
        self.down, self.down_attention = nn.ModuleList(), nn.ModuleList()
        self.up, self.up_attention = nn.ModuleList(), nn.ModuleList()
        width = c.widths[0]
        for level, channels in enumerate(c.widths):
            self.down.append(self._blocks(width, channels, c.blocks[level]))
            self.down_attention.append(self._attention(level))
            width = channels
        self.middle = Block(width, width, c.embedding)
        for level in reversed(range(len(c.widths))):
            channels = c.widths[level]
            self.up.append(self._blocks(width + channels, channels, c.blocks[level]))
            self.up_attention.append(self._attention(level))
            width = channels
        self.norm = nn.GroupNorm(8, width)
        self.leave = nn.Conv2d(width, 3 * c.fold**2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        self.detail = Detail(c.detail, c.embedding)

    def _blocks(self, width: int, channels: int, count: int) -> nn.ModuleList:
        widths = [width] + [channels] * (count - 1)
        return nn.ModuleList(Block(w, channels, self.config.embedding) for w in widths)

    def _attention(self, level: int) -> nn.Module | None:
        c = self.config
        return Attention(c.widths[level], c.heads) if c.attention[level] else None

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        tokens: Tensor,
        token_mask: Tensor,
        guide: Tensor,
        phrases: Tensor,
        coverage: Tensor,
    ) -> Tensor:
        """Return x0, (B, 3, H, W).

        x (B, 3, H, W) noisy; t (B,) from 0, noise, to 1, clean; tokens (B, L, 384) and token_mask
        (B, L); guide (B, 8, H/2, W/2); phrases (B, K, 388); coverage (B, K, H/8, W/8).
        """
        fold = self.config.fold
        mask = token_mask[:, :, None]
        pooled = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1)
        embedding = self.time(_fourier(t)) + self.text(pooled) + self.ground(phrases[:, 0])
        embedding = F.silu(embedding)
        folded = [F.pixel_unshuffle(x, fold)]
        folded.append(F.pixel_unshuffle(guide, fold // 2) if fold > 2 else guide)
        layout = torch.einsum("bkrc,bkd->bdrc", coverage, self.layout(phrases))
        h = self.enter(torch.cat(folded, 1))
        kept = []
        for level, (blocks, attention) in enumerate(
            zip(self.down, self.down_attention, strict=True)
        ):
            if level:
                h = F.avg_pool2d(h, 2)
            h = h + _resize(self.layout_in[level](layout), h)
            for block in blocks:
                h = block(h, embedding)
            if attention is not None:
                h = attention(h, tokens, token_mask)
            kept.append(h)
        h = self.middle(h, embedding)
        for step, (blocks, attention) in enumerate(zip(self.up, self.up_attention, strict=True)):
            if step:
                h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            h = torch.cat([h, kept.pop()], 1)
            for block in blocks:
                h = block(h, embedding)
            if attention is not None:
                h = attention(h, tokens, token_mask)
        x0 = F.pixel_shuffle(self.leave(F.silu(self.norm(h))), fold)
        return self.detail(x, x0, embedding)


def _fourier(t: Tensor) -> Tensor:
    """Return (B, 128) sines and cosines of t at frequencies 1 to 400, spaced geometrically."""
    frequencies = torch.exp(torch.linspace(0, 6, 64, device=t.device))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def _resize(layout: Tensor, like: Tensor) -> Tensor:
    """Bring the layout map to the cells of `like`: repeat each cell, or average them."""
    factor = int(like.shape[2]) / int(layout.shape[2])  # plain numbers also while being traced
    if factor > 1:
        return F.interpolate(layout, scale_factor=factor, mode="nearest")
    return F.avg_pool2d(layout, round(1 / factor)) if factor < 1 else layout
