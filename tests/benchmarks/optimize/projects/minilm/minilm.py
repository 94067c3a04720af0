"""Which of five packages a docstring comes from: sentence embeddings of all-MiniLM-L6-v2, and a linear classifier."""

from pathlib import Path

import numpy as np
import torch
from docstrings import PACKAGES, docstrings
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional
from training import accuracy
from wordpiece import WordPiece

from onnxyard.project.data import Split, Splits
from onnxyard.project.protocols import Config, Report, Targets, Tensors

HERE = Path(__file__).parent
WIDTH, HEADS, TOKENS = 384, 12, 64
PARTS = {"train": 0.5, "calibration": 0.06, "validation": 0.18, "test": 0.26}


def data(config: Config) -> Splits:
    """Token numbers and their mask INT64 [rows, TOKENS], and the package's number."""
    texts, labels = docstrings()
    pieces = WordPiece(HERE / "vocab.txt")
    ids = np.stack([pieces(text, TOKENS) for text in texts])
    ends = np.cumsum([round(share * len(texts)) for share in PARTS.values()])[:-1]
    made = {}
    for name, part in zip(PARTS, np.split(np.arange(len(texts)), ends), strict=True):
        made[name] = Split({"ids": ids[part], "mask": (ids[part] > 0).astype(np.int64)}, labels[part])
    return Splits(**made)


class Layer(nn.Module):
    """Attention and two dense layers, each normalized behind the way around it (Devlin et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mix, self.first_norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.second_norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, seen):
        rows, length, _ = x.shape
        parts = [
            each(x).reshape(rows, length, HEADS, -1).transpose(1, 2) for each in (self.query, self.key, self.value)
        ]
        mixed = functional.scaled_dot_product_attention(*parts, attn_mask=seen)
        x = self.first_norm(x + self.mix(mixed.transpose(1, 2).reshape(rows, length, WIDTH)))
        return self.second_norm(x + self.narrow(functional.gelu(self.widen(x))))


class MiniLM(nn.Module):
    """Embeddings, layers, the mean over tokens at length one, and the classifier."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(30522, WIDTH), nn.Embedding(512, WIDTH)
        self.sentences, self.norm = nn.Embedding(2, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList([Layer() for _ in range(layers)])
        self.head = nn.Linear(WIDTH, len(PACKAGES))

    def embed(self, ids, mask):
        x = self.norm(self.tokens(ids) + self.places.weight[: ids.shape[1]] + self.sentences.weight[0])
        seen = mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, seen)
        weights = mask.unsqueeze(-1).to(x.dtype)
        return functional.normalize((x * weights).sum(dim=1) / weights.sum(dim=1), dim=1)

    def forward(self, ids, mask):
        return self.head(self.embed(ids, mask))


NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "first_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "second_norm": "output.LayerNorm",
}
"""Ours, and those of the published weights."""


def model(config: Config) -> MiniLM:
    return MiniLM(config["layers"])


def train(splits: Splits, config: Config, report: Report) -> MiniLM:
    """Take the published weights, and fit the classifier alone."""
    module = model(config).eval()
    published = load_file(HERE / "model.safetensors")
    weights = {
        "tokens.weight": published["embeddings.word_embeddings.weight"],
        "places.weight": published["embeddings.position_embeddings.weight"],
        "sentences.weight": published["embeddings.token_type_embeddings.weight"],
        "norm.weight": published["embeddings.LayerNorm.weight"],
        "norm.bias": published["embeddings.LayerNorm.bias"],
    }
    for layer in range(config["layers"]):
        for ours, theirs in NAMES.items():
            for kind in ("weight", "bias"):
                weights[f"layers.{layer}.{ours}.{kind}"] = published[f"encoder.layer.{layer}.{theirs}.{kind}"]
    missing, unknown = module.load_state_dict(weights, strict=False)
    assert not unknown
    assert all(name.startswith("head.") for name in missing)
    ids, mask = (torch.from_numpy(splits.train.inputs[name]) for name in ("ids", "mask"))
    with torch.no_grad():
        embedded = torch.cat([module.embed(*part) for part in zip(ids.split(64), mask.split(64), strict=True)])
    fitted = LogisticRegression(C=30.0, max_iter=500).fit(embedded.numpy(), splits.train.targets)
    with torch.no_grad():
        module.head.weight.copy_(torch.from_numpy(fitted.coef_))
        module.head.bias.copy_(torch.from_numpy(fitted.intercept_))
    return module


def metrics(targets: Targets, outputs: Tensors) -> dict[str, float]:
    return accuracy(targets, outputs["logits"])
