"""Nobody is accused of what is not so: ONNX's own conformance cases, and what torch exports."""

from __future__ import annotations

import warnings

import onnx
import pytest
import torch
from onnx.backend.test.case.node import collect_testcases
from torch import nn

from onnxyard.diagnosis.inspection.inspecting import inspect_file
from onnxyard.sources.admission.admitting import Admitted, look_at

TRUE_OF_THESE = {"release-needed", "unpinned", "fixed-batch", "unnamed-axis", "dead-nodes"}
"""What is so: their shapes are fixed, and expanded functions compute what nobody takes."""
NO_KERNEL = {"missing-kernel", "not-loadable"}
"""What ONNX Runtime's CPU provider lacks."""


def conformance(folder):
    """Every case that has a model, as a file."""
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own: numpy's overflow where a case computes its expected edge values
        cases = [case for case in collect_testcases(None) if case.model is not None]
    for case in cases:
        onnx.save(case.model, folder / f"{case.name}.onnx")
    return sorted(folder.iterdir())


def admitted(files):
    """How many may be opened; the others are refused for want of a kernel and nothing else."""
    seen = look_at(files)
    refused = {
        file.stem: one[0].code
        for file, one in zip(files, seen, strict=True)
        if not isinstance(one, Admitted) and one[0].code not in NO_KERNEL
    }
    assert refused == {}
    return sum(isinstance(one, Admitted) for one in seen) / len(seen)


def accused(file):
    return {finding.code for finding in inspect_file(file)} - TRUE_OF_THESE - NO_KERNEL


@pytest.mark.slow
def test_onnxs_conformance_cases_are_admitted_and_a_sample_is_clean(tmp_path):
    files = conformance(tmp_path / "cases")
    assert admitted(files) > 0.9
    allowed = {"unsupported-output", "unsupported-input"}  # sequences and optional values are what some cases are about
    allowed |= {"training-mode", "unseeded-randomness"}  # likewise
    assert [file.stem for file in files[::40] if accused(file) - allowed] == []


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 32)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 100, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.norm(self.embedding(tokens)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.LSTM(8, 16, batch_first=True)

    def forward(self, steps):
        return self.body(steps)[0]


def convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(32, 10),
    )


MODELS = {
    "convolutional": (convolutional, lambda: torch.randn(2, 3, 32, 32)),
    "recurrent": (Recurrent, lambda: torch.randn(2, 5, 8)),
    "tied": (Tied, lambda: torch.randint(0, 100, (2, 7))),
    "attention": (lambda: nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), lambda: torch.randn(2, 8, 64)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "attention" else pytest.mark.slow) for name in MODELS]
)
def test_what_torch_exports_is_clean(tmp_path, name):
    make, example = MODELS[name]
    torch.manual_seed(0)
    file = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations while it exports
        torch.onnx.export(
            make().eval(), (example(),), file, dynamic_shapes=({0: "batch"},), external_data=False, verbose=False
        )
    assert accused(file) == {"foreign-notes"}
