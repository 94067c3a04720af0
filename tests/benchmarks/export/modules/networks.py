"""Whole networks, a few lines each."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.export.case import WARNED, case, integers
from benchmarks.export.modules.custom import nms, nms_in_onnx


def block(inputs, outputs, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.SiLU())


class UNet(nn.Module):
    def __init__(self, **resize):
        super().__init__()
        self.down, self.deep, self.up = block(3, 8), block(8, 16, 2), block(24, 8)
        self.head, self.resize = nn.Conv2d(8, 2, 1), resize

    def forward(self, x):
        fine = self.down(x)
        coarse = functional.interpolate(self.deep(fine), size=fine.shape[-2:], mode="bilinear", **self.resize)
        return self.head(self.up(torch.cat([fine, coarse], dim=1)))


case("networks/u-net-odd-size", x=(3, 15, 17))(UNet)
case("networks/u-net-aligned", x=(3, 16, 16))(lambda: UNet(align_corners=True))
case("networks/u-net-antialias", x=(3, 15, 17))(lambda: UNet(antialias=True))
case("networks/u-net-any-size", x=(3, 16, 20), axes={"x": ("batch", 3, "height", "width")})(UNet)


@case(
    "networks/detector-with-nms",
    x=(3, 32, 32),
    outputs=("boxes", "scores", "classes"),
    translations={"suite::nms": nms_in_onnx},
)
class Detector(nn.Module):
    """One scale of anchors, boxes decoded, the best five kept."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(block(3, 8, 2), block(8, 16, 2), block(16, 16, 2))
        self.head = nn.Conv2d(16, 4 + 1 + 3, 1)
        rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        self.register_buffer("centres", torch.stack([columns, rows], dim=-1).reshape(16, 2) + 0.5)

    def forward(self, x):
        raw = self.head(self.body(x)).flatten(2).transpose(1, 2)
        centre, size = self.centres + torch.tanh(raw[..., :2]), raw[..., 2:4].exp()
        boxes = torch.cat([centre - size, centre + size], dim=-1) * 8
        scores, classes = (raw[..., 4:5].sigmoid() * raw[..., 5:].softmax(-1)).max(-1)
        kept = nms(boxes, scores, 0.3, 5)
        there, at = kept >= 0, kept.clamp(min=0)
        return (
            boxes.gather(1, at[..., None].expand(-1, -1, 4)) * there[..., None],
            scores.gather(1, at) * there,
            torch.where(there, classes.gather(1, at), -1),
        )


@case("networks/text-classifier", tokens=integers(7, high=20), axes={"tokens": ("batch", "length")})
class TextClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 16, padding_idx=0)
        self.mix = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        seen = (tokens != 0).unsqueeze(-1)
        mixed = self.mix(self.embedding(tokens)) * seen
        return self.head(mixed.sum(1) / seen.sum(1).clamp(min=1))


@case("networks/temporal-convolution", x=(4, 20))
class Temporal(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(4, 4, 3, dilation=2**depth) for depth in range(3))

    def forward(self, x):
        for depth, layer in enumerate(self.layers):
            x = x + functional.gelu(layer(functional.pad(x, (2 * 2**depth, 0))))
        return functional.glu(x, dim=1)


@case("networks/transposed-convolution", x=(8, 5, 7))
class Transposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1, groups=2), nn.GroupNorm(2, 4), nn.Mish(),
            nn.InstanceNorm2d(4, affine=True), nn.LocalResponseNorm(3),
        )  # fmt: skip

    def forward(self, x):
        return self.body(x)


@case("networks/autoencoder-that-samples", x=(8,), outcome=WARNED, finding="unseeded-randomness")
class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 4), nn.Linear(2, 8)

    def forward(self, x):
        mean, spread = self.encode(x).chunk(2, dim=-1)
        return self.decode(mean + spread.exp() * torch.randn_like(mean))


@case("networks/graph-convolution", x=(5, 4), edges=integers(5, 5, high=2))
class GraphConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x, edges):
        neighbours = edges.float() + torch.eye(5)
        return torch.relu(self.linear(neighbours @ x / neighbours.sum(-1, keepdim=True)))


@case("networks/two-heads-in-a-dict", x=(8,), outputs=("policy", "value"))
class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 1), nn.Linear(8, 4)

    def forward(self, x):
        hidden = functional.layer_norm(torch.relu(self.body(x)), [8])
        return {"policy": self.other(hidden).log_softmax(-1), "value": self.one(hidden)}


@case("networks/vision-transformer", x=(3, 16, 16))
class VisionTransformer(nn.Module):
    """Its class token is repeated `len(x)` times."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        patches = self.patches(x).flatten(2).transpose(1, 2)
        seen = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1) + self.places
        return self.head(self.encoder(seen)[:, 0])


@case("networks/factorization-machine", ids=integers(6, high=100), dense=(4,))
class FactorizationMachine(nn.Module):
    """Gives probabilities of 1e-6, of which the runtime's Sigmoid knows two digits."""

    def __init__(self):
        super().__init__()
        self.factors, self.bias = nn.Embedding(100, 4), nn.EmbeddingBag(100, 1, mode="sum")
        self.deep = nn.Sequential(nn.Linear(28, 8), nn.PReLU(), nn.Linear(8, 1))

    def forward(self, ids, dense):
        factors = self.factors(ids)
        pairs = 0.5 * (factors.sum(1).square() - factors.square().sum(1)).sum(1, keepdim=True)
        deep = self.deep(torch.cat([factors.flatten(1), dense], dim=1))
        return torch.sigmoid(self.bias(ids) + pairs + deep - 6)


@case("networks/experts-that-see-their-rows", x=(8,))
class Experts(nn.Module):
    """How many rows an expert sees depends on the data."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(8, 3), nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        weights, chosen = self.gate(x).softmax(-1).topk(1, dim=-1)
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = torch.where(chosen[:, 0] == number)[0]
            y = y.index_add(0, rows, expert(x[rows]) * weights[rows])
        return y
