"""Small networks of the kinds that are exported most, with the lines at which faults are planted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from onnxyard.diagnosis.blame.reference import TorchSource
from onnxyard.diagnosis.blame.traced import Traced as Reference
from onnxyard.sources.sidecar import sidecar, trace_origins
from onnxyard.sources.torch.tree import SourceTree

HERE = Path(__file__)
LINES = HERE.read_text().splitlines()


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(8, 8)

    def forward(self, image):
        features = self.first(image)
        features = features - self.second(features)  # cnn: difference
        features = torch.sqrt(torch.abs(features))  # cnn: root
        features = self.pool(features)  # cnn: pool
        scores = self.head(features.mean((2, 3)))
        return {"probability": torch.softmax(scores, -1), "label": scores.argmax(-1)}  # cnn: answer


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, padding=1)
        self.bottom = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, image):
        skip = torch.relu(self.down(image))  # unet: skip
        deep = torch.relu(self.bottom(skip))
        deep = self.up(deep)
        deep = nn.functional.interpolate(deep, scale_factor=0.5, mode="bilinear", align_corners=False)
        deep = nn.functional.interpolate(deep, scale_factor=2.0, mode="bilinear", align_corners=False)  # unet: up
        both = torch.cat([deep, skip], dim=1)  # unet: join
        return torch.sigmoid(self.out(both))  # unet: mask


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(20, 16)
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(2)]
        )
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, ids):
        hidden = self.tokens(ids)
        padded = ids == 0
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=padded)  # encoder: layer
        return self.head(self.norm(hidden).mean(1))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.Embedding(16, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 2)

    def forward(self, wave):
        bucket = torch.clamp(torch.floor(wave * 4) + 8, 0, 15).long()  # lstm: bucket
        hidden, _ = self.lstm(self.steps(bucket))
        last = torch.where(hidden > 0, hidden, 0.1 * hidden)  # lstm: leak
        return self.head(last.amax(1)), bucket  # lstm: answer


class Antialiased(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.out = nn.Conv2d(4, 2, 1)

    def forward(self, image):
        large = self.stem(image)
        large = nn.functional.interpolate(  # aa: grow
            large, scale_factor=2.0, mode="bilinear", align_corners=True, antialias=True
        )
        return self.out(large)


class Undefined(nn.Module):
    """NaN by itself: the square root of what may be negative."""

    def forward(self, image):
        return torch.sqrt(image).sum((1, 2, 3))


def images(channels, size=10, rows=6):
    return {"image": np.random.default_rng(0).normal(size=(rows, channels, size, size)).astype(np.float32)}


def _cnn():
    module = Cnn()
    with torch.no_grad():
        module.first[1].running_mean.uniform_(-1, 1)
        module.first[1].running_var.uniform_(0.5, 2)
    return module, images(3), ("probability", "label")


def _encoder():
    ids = np.random.default_rng(1).integers(1, 20, (6, 7))
    ids[:, 5:] = 0
    return Encoder(), {"ids": ids}, ("scores",)


NETWORKS = {
    "cnn": _cnn,
    "unet": lambda: (UNet(), images(1, 12), ("mask",)),
    "encoder": _encoder,
    "lstm": lambda: (
        Lstm(),
        {"wave": np.random.default_rng(2).normal(size=(6, 9)).astype(np.float32)},
        ("scores", "bucket"),
    ),
    "antialiased": lambda: (Antialiased(), images(1, 12), ("large",)),
}


@dataclass
class Traced:
    """A network, its graph as torch exports it, and what blame needs to know of both."""

    reference: Reference
    inputs: dict
    sidecar: dict

    @classmethod
    def of(cls, module, inputs, outputs):
        torch.manual_seed(0)
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.4)
        tree = SourceTree((HERE.parent,))
        source = TorchSource(module.eval().requires_grad_(requires_grad=False), tree=tree)
        reference = Reference(source, inputs, outputs, opset=20)
        graph = reference.fresh
        return cls(reference, inputs, sidecar(graph, trace_origins(graph, tree), {}, exporter="torch"))

    def graph(self):
        """A copy of the exported graph, to plant a fault in."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.reference.fresh)
        return copy

    def node(self, graph, op, module):
        """The first node of this operator that was exported from this module."""
        tensors = self.sidecar["tensors"]
        return next(n for n in graph.graph.node if n.op_type == op and tensors[n.output[0]]["module"] == module)


def line(marker):
    """`networks.py:LINE` of the line that ends in this comment."""
    return f"{HERE.name}:{next(at for at, text in enumerate(LINES, 1) if text.endswith(f'# {marker}'))}"
