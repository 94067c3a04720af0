"""Attention in its variants."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attend

from benchmarks.export.case import case, integers


@case("attention/three-axes", x=(5, 8))
class ThreeAxes(nn.Module):
    def forward(self, x):
        return attend(x, x.flip(1), x)


@case("attention/three-axes-causal", x=(5, 8))
class ThreeAxesCausal(nn.Module):
    def forward(self, x):
        return attend(x, x, x, is_causal=True)


@case("attention/four-axes", x=(2, 5, 8))
class FourAxes(nn.Module):
    def forward(self, x):
        return attend(x, x.flip(1), x)


@case("attention/causal", x=(2, 5, 8))
class Causal(nn.Module):
    def forward(self, x):
        return attend(x, x, x, is_causal=True)


@case("attention/float-mask", x=(2, 5, 8))
class FloatMask(nn.Module):
    def forward(self, x):
        return attend(x, x, x, attn_mask=x @ x.transpose(-1, -2), scale=0.3)


@case("attention/bool-mask", x=(2, 5, 8))
class BoolMask(nn.Module):
    def forward(self, x):
        return attend(x, x, x, attn_mask=(x @ x.transpose(-1, -2) > -1) | torch.eye(5, dtype=torch.bool))


@case("attention/row-with-nothing-to-see", x=(2, 5, 8), lengths=integers(low=0, high=6))
class Padded(nn.Module):
    def forward(self, x, lengths):
        seen = torch.arange(5)[None, :] < lengths[:, None] % 3
        return attend(x, x, x, attn_mask=(seen[:, None, :, None] & seen[:, None, None, :]))


@case("attention/grouped-query", x=(4, 5, 8))
class Grouped(nn.Module):
    def forward(self, x):
        return attend(x, x[:, :2], x[:, 2:], enable_gqa=True)


@case("attention/dynamic-sequence", x=(6, 8), axes={"x": ("batch", "sequence", 8)})
class AnyLength(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x):
        query, key, value = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return attend(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


@case("attention/multi-head-module", x=(5, 8))
class MultiHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


@case("attention/multi-head-padded", x=(5, 8), lengths=integers(low=1, high=6), outputs=("y", "weights"))
class MultiHeadPadded(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, lengths):
        padding = torch.arange(5)[None, :] >= lengths[:, None]
        return self.attention(x, x, x, key_padding_mask=padding)


@case("attention/encoder-exported-at-batch-1", x=(5, 8), rows=1)
class EncoderAtOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        return self.encoder(x).mean(dim=1)


@case("attention/decoder", x=(5, 8), memory=(3, 8))
class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True)

    def forward(self, x, memory):
        mask = nn.Transformer.generate_square_subsequent_mask(5)
        return self.decoder(x, memory, tgt_mask=mask, tgt_is_causal=True)


@case("attention/rotary-by-complex-numbers", x=(5, 8))
class Rotary(nn.Module):
    def __init__(self):
        super().__init__()
        angles = torch.outer(torch.arange(5.0), 10000 ** (-torch.arange(0, 8, 2) / 8))
        self.register_buffer("turns", torch.polar(torch.ones_like(angles), angles))

    def forward(self, x):
        turned = torch.view_as_complex(x.unflatten(-1, (4, 2))) * self.turns
        return torch.view_as_real(turned).flatten(2)


@case("attention/linear-by-einsum", x=(5, 8))
class LinearAttention(nn.Module):
    def forward(self, x):
        keys = torch.softmax(x, dim=1)
        context = torch.einsum("bnd,bne->bde", keys, x)
        return torch.einsum("bnd,bde->bne", torch.softmax(x, dim=-1), context)
