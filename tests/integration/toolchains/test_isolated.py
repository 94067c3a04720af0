import gc
import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxyard.diagnosis.proving import prove
from onnxyard.errors import (
    ArtifactCorruptError,
    InvalidRequestError,
    MissingExtraError,
    UnsupportedModelError,
    UserCodeError,
)
from onnxyard.project.data import Split, Splits
from onnxyard.project.project import load_project
from onnxyard.settings import Settings
from onnxyard.sources import isolated
from onnxyard.sources.isolated import Isolated
from onnxyard.sources.source import Asked
from onnxyard.toolchains.environment import Environment
from planted_toolchain import plant, toolchain

TOML = """
[project]
name = "linear"
module = "linear.py"
framework = "keras"
training = "fit.py"
outputs = ["y"]

[develop.config]
factor = 2.0

[gates.quality]
score = 0.5
"""
LINEAR = "import onnxruntime  # data and metrics have this environment, training has not\n"
FIT = """
import numpy as np
from beside import scaled
from onnxyard.project.data import Splits

def train(splits, config, report):
    print("talkative")
    assert isinstance(splits, Splits)
    report(0, {"loss": np.float32(0.25)})
    report(1, {"loss": 0.125})
    return scaled(splits.train.inputs["x"][:3, :2], config["factor"])
"""
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
SPLITS = Splits(train=Split({"x": ROWS}, np.zeros(4)), validation=Split({"x": ROWS}, np.zeros(4)))


@pytest.fixture
def source(monkeypatch) -> Isolated:
    monkeypatch.setattr(isolated, "known", lambda _name: toolchain())
    program = Path(__file__).with_name("numpy_framework.py")
    return Isolated("tiny", program, converter="by hand", opsets=range(13, 19), checkpoints=True)


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "onnxyard.toml").write_text(TOML)
    (root / "linear.py").write_text(LINEAR)
    (root / "fit.py").write_text(FIT)
    (root / "beside.py").write_text("def scaled(rows, factor):\n    return rows * factor\n")
    home = tmp_path / "home"
    plant(Environment(toolchain(), Settings.read(home=home, environ={})))
    return replace(load_project(root), home=home)


def fitted(source, project, folder, report=lambda *_: None) -> Path:
    folder.mkdir()
    source.fit(project, None, SPLITS, folder, report)
    return folder


def asked(**changes) -> Asked:
    fields = {"inputs": {"x": ROWS}, "outputs": ("y",), "opset": 17, "axes": {}, "translations": {}}
    return Asked(**{**fields, **changes})


def test_from_training_there_to_a_proven_graph_here(tmp_path, source, project):
    steps = []
    folder = fitted(source, project, tmp_path / "fitted", lambda step, metrics: steps.append((step, metrics)))
    assert steps == [(0, {"loss": 0.25}), (1, {"loss": 0.125})]
    model = source.load(project, folder)
    expected = model.run({"x": ROWS})
    np.testing.assert_array_equal(expected["y"], ROWS @ (ROWS[:3, :2] * 2))
    assert model.runtime.startswith("numpy")
    assert model.signature.outputs[0].shape == ("batch", 2)
    proven = prove(source.attempts(project, folder, asked()), tmp_path / "model", asked(), expected)
    assert proven.checked.graph.opset == 17
    assert proven.checked.max_error < 1e-5
    assert proven.exported.remedies == ("planted",)
    assert proven.exported.sidecar["nodes"][0]["source"] == "fit.py:3"
    graph = onnx.load(tmp_path / "model" / "model.onnx").graph
    assert [tensor.name for tensor in graph.initializer] == ["w"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    del model
    gc.collect()
    assert not list((project.home / "logs").iterdir())


def test_one_model_answers_many_threads(tmp_path, source, project):
    model = source.load(project, fitted(source, project, tmp_path / "fitted"))
    wrong = []

    def one(number: int) -> None:
        rows = ROWS * number
        if not np.array_equal(model.run({"x": rows})["y"], rows @ (ROWS[:3, :2] * 2)):
            wrong.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("fit", "blame"),
    [
        ("def train(splits, config, report):\n    1 / 0\n", ("train raised: ZeroDivisionError", "fit.py:2 in train")),
        ("def fit():\n    pass\n", ("no function 'train' in fit.py", "fit.py")),
        ("def train(splits, config, report):\n    return 'text'\n", ("train returned a str", "")),
        (
            "import nothing_of_this_name\n",
            ("the toolchain has no module 'nothing_of_this_name'", "fit.py:1 in <module>"),
        ),
        ("def train(splits, config, report)\n", ("cannot be loaded: SyntaxError", "fit.py:1")),
        ("import os\ndef train(*_):\n    os._exit(0)\n", ("failed to fit: it ended with code 0", "logs")),
        ("import os\ndef train(*_):\n    os.kill(os.getpid(), 9)\n", ("killed by SIGKILL", "logs")),
        (
            "def train(splits, config, report):\n    raise SystemExit\n",
            ("train raised: SystemExit", "fit.py:2 in train"),
        ),
    ],
    ids=["raises", "missing", "wrong-type", "import", "syntax", "exits", "killed", "sys-exit"],
)
def test_whatever_training_does_is_blamed_on_the_projects_line(tmp_path, source, project, fit, blame):
    told, where = blame
    (project.root / "fit.py").write_text(fit)
    with pytest.raises(UserCodeError, match=told) as caught:
        fitted(source, project, tmp_path / "fitted")
    assert where in caught.value.where


def test_a_report_that_is_refused_here_ends_training_there(tmp_path, source, project):
    def refuse(_step, _metrics):
        raise UserCodeError("training diverged")

    with pytest.raises(UserCodeError, match="training diverged"):
        fitted(source, project, tmp_path / "fitted", refuse)
    assert not list((project.home / "workspaces").iterdir())


def test_a_checkpoint_needs_no_training_file(tmp_path, source, project):
    (project.root / "onnxyard.toml").write_text(
        TOML.replace('training = "fit.py"\n', "") + '[develop]\ncheckpoint = "weights.json"\n'
    )
    (project.root / "weights.json").write_text(json.dumps([[1, 2], [3, 4], [5, 6]]))
    project = replace(load_project(project.root), home=project.home)
    model = source.load(project, fitted(source, project, tmp_path / "fitted"))
    assert model.run({"x": ROWS[:1]})["y"].tolist() == [[13.0, 16.0]]
    no_checkpoints = replace(source, checkpoints=False)
    with pytest.raises(InvalidRequestError, match="cannot start from a checkpoint"):
        fitted(no_checkpoints, project, tmp_path / "again")


def test_outputs_that_the_project_does_not_name_are_refused(tmp_path, source, project):
    (project.root / "onnxyard.toml").write_text(TOML.replace('["y"]', '["y", "z"]'))
    project = replace(load_project(project.root), home=project.home)
    model = source.load(project, fitted(source, project, tmp_path / "fitted"))
    with pytest.raises(UserCodeError, match="gives 1 outputs, the project names 2"):
        model.run({"x": ROWS})


def test_a_model_that_dies_is_one_clear_error(tmp_path, source, project, monkeypatch):
    folder = fitted(source, project, tmp_path / "fitted")
    monkeypatch.setenv("PLANTED", "die")
    model = source.load(project, folder)
    with pytest.raises(UserCodeError, match="failed to run: it was killed by SIGKILL"):
        model.run({"x": ROWS})


def test_a_stored_model_that_is_broken_is_said_to_be(tmp_path, source, project):
    folder = fitted(source, project, tmp_path / "fitted")
    (folder / "weights.json").write_text("[")
    with pytest.raises(ArtifactCorruptError):
        source.load(project, folder)


@pytest.mark.parametrize(("opset", "nearest"), [(12, 13), (19, 18)])
def test_an_opset_it_does_not_give_is_refused_with_those_it_gives_and_reached_from_the_nearest(
    tmp_path, source, project, opset, nearest
):
    refused, *detours = source.attempts(project, tmp_path, asked(opset=opset))
    with pytest.raises(UnsupportedModelError) as caught:
        refused.make(tmp_path / "model.onnx")
    assert "13 to 18" in caught.value.remedy
    assert detours
    assert all(f"at opset {nearest}," in attempt.name for attempt in detours)


def test_without_an_opset_it_gives_its_highest(tmp_path, source, project):
    folder = fitted(source, project, tmp_path / "fitted")
    (attempt,) = source.attempts(project, folder, asked(opset=None))
    attempt.make(tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 18


def test_what_cannot_be_converted_is_named(tmp_path, source, project):
    folder = fitted(source, project, tmp_path / "fitted")
    (project.root / "onnxyard.toml").write_text(TOML.replace("factor = 2.0", "unsupported = true"))
    project = replace(load_project(project.root), home=project.home)
    attempt = next(source.attempts(project, folder, asked()))
    with pytest.raises(UnsupportedModelError, match="frobnicate"):
        attempt.make(tmp_path / "model.onnx")


def test_without_the_toolchain_nothing_starts(tmp_path, source, project):
    project = replace(project, home=tmp_path / "other")
    with pytest.raises(MissingExtraError, match="not installed") as caught:
        source.load(project, tmp_path)
    assert f"onnxyard toolchain install tiny --home {tmp_path / 'other'}" in caught.value.remedy


def test_the_framework_stays_out_of_this_environment(project):
    """A project's module that imports the framework here is told where it belongs."""
    (project.root / "linear.py").write_text("import keras\n")
    with pytest.raises(UserCodeError, match="keras lives in an environment of its own") as caught:
        load_project(project.root).functions()
    assert "[project] training" in caught.value.remedy
    assert {"keras", "tensorflow", "jax"} & set(sys.modules) == set()
