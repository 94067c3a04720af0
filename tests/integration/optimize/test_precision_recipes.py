"""Every precision recipe, on the kinds of models people bring: its runtimes read the result, and it is close."""

import warnings

import pytest
import torch
from torch import nn

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.runtimes.runtime import runtime_named
from onnxyard.stages.optimize.making import make
from onnxyard.stages.optimize.passes.transformation import Materials
from onnxyard.stages.optimize.recipes.precision import PRECISION
from onnxyard.stages.optimize.shelf import Shelf

LEAST_DB = {"fp16": 40.0, "bf16": 30.0, "int8": 18.0, "int4": 9.0}
"""Of the outputs; weights drawn at random suffer more than trained ones."""
NOTHING_TO_DO = {("int8-nncf", "lstm"): "no node was quantized"}
"""What a recipe does not offer for a model, and how it is told."""
HOW = {"onnxruntime": ("CPUExecutionProvider", {}), "openvino": ("CPU", {"precision": "f32"})}
TELLING = {(recipe.name, "mlp") for recipe in PRECISION}
TELLING |= {("int8-qdq", "encoder"), ("int8-dynamic", "encoder"), ("fp16", "encoder")}
TELLING |= {("int8-qdq", "cnn"), ("int8-u8s8", "cnn"), ("fp16", "cnn")}
"""The rest is tried with the slow tests."""


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.past = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.second(self.first(x)) + self.past(x))


class ResNet(nn.Module):
    """ResNet-18's shape, an eighth of its width."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(200, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 8)

    def forward(self, ids):
        return self.head(self.layers(self.tokens(ids)).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(32, 32, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def perceptron():
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))


MODELS = {
    "cnn": (ResNet, lambda rows: torch.randn(rows, 3, 48, 48)),
    "encoder": (Encoder, lambda rows: torch.randint(0, 200, (rows, 16))),
    "lstm": (Recurrent, lambda rows: torch.randn(rows, 12, 32)),
    "mlp": (perceptron, lambda rows: torch.randn(rows, 32)),
}


class Subject:
    """An exported model, its calibration rows, and rows to compare on."""

    def __init__(self, name, folder):
        torch.manual_seed(0)
        module, rows = MODELS[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's exporter warns about itself
            torch.onnx.export(
                module().eval(),
                (rows(2),),
                folder / "model.onnx",
                input_names=["x"],
                output_names=["y"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
        self.source = folder / "model.onnx"
        self.batches = [{"x": rows(16).numpy()} for _ in range(4)]
        self.unseen = {"x": rows(16).numpy()}
        self.expected = answered(self.source, self.unseen)
        self.shelf = Shelf(folder / "shelf")

    def score(self, file):
        """Minus the relative error."""
        return -(10 ** (-compare(self.expected, answered(file, self.unseen)).snr_db / 20))

    def make(self, recipe, folder):
        materials = Materials(lambda: iter(self.batches), self.score, 0.5)
        return make(recipe, self.source, folder, materials, shelf=self.shelf, materials_digest="0" * 64)


def answered(file, inputs, runtime="onnxruntime"):
    provider, options = HOW[runtime]
    return runtime_named(runtime).load(file, provider=provider, threads=1, options=options).run(inputs)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    made = {}

    def subject(name):
        if name not in made:
            made[name] = Subject(name, tmp_path_factory.mktemp(name))
        return made[name]

    return subject


CASES = [
    pytest.param(recipe, name, id=f"{recipe.name}-{name}", marks=slow)
    for name in MODELS
    for recipe in PRECISION
    for slow in [[] if (recipe.name, name) in TELLING else [pytest.mark.slow]]
]


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_the_result_loads_where_the_recipe_says_and_is_close(recipe, name, subjects, tmp_path):
    subject = subjects(name)
    if nothing := NOTHING_TO_DO.get((recipe.name, name)):
        with pytest.raises(UnsupportedModelError, match=nothing):
            subject.make(recipe, tmp_path / "made")
        return
    made = subject.make(recipe, tmp_path / "made")
    assert made.changed
    assert made.facts
    for runtime in {each.partition(":")[0] for each in recipe.runtimes}:
        report = compare(subject.expected, answered(made.file, subject.unseen, runtime))
        assert report.snr_db > LEAST_DB[recipe.precision], (runtime, report)


def test_ranges_are_measured_once_for_all_recipes_that_need_them(subjects, tmp_path):
    subject, calls = subjects("mlp"), []

    def calibration():
        calls.append("calibration")
        return iter(subject.batches)

    materials = Materials(calibration, subject.score, 0.5)
    shelf = Shelf(tmp_path / "shelf")
    counted = []
    for name in ("int8-qdq", "int8-u8s8", "int8-entropy", "int8-percentile", "qnn-a8w8"):
        recipe = next(each for each in PRECISION if each.name == name)
        make(recipe, subject.source, tmp_path / name, materials, shelf=shelf, materials_digest="0" * 64)
        counted.append(len(calls))
    assert counted[0] > 0
    assert set(counted) == {counted[0]}
