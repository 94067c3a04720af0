"""Olive as an optimizer of ours: what goes to its toolchain, what comes back, and what happens where nothing does."""

import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxyard.errors import MissingExtraError, UnsupportedModelError
from onnxyard.settings import Settings
from onnxyard.stages.optimize.passes import olive
from onnxyard.stages.optimize.passes.olive import TOOLCHAIN, OliveSearch
from onnxyard.stages.optimize.passes.transformation import Materials
from onnxyard.stages.optimize.recipes.catalogue import recipe_named
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment
from onnxyard.toolchains.installing import install
from planted_toolchain import plant

FEATURES, CLASSES, HIDDEN = 16, 4, 64


def model_file(folder: Path) -> Path:
    """Two layers, whose products are worth quantizing."""
    random = np.random.default_rng(0)
    weights = {
        "a": random.normal(size=(FEATURES, HIDDEN)),
        "b": random.normal(size=(HIDDEN, CLASSES)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "b"], ["y"]),
        ],
        "two layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    file = folder / "model.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, file)
    return file


def batches():
    random = np.random.default_rng(1)
    for _ in range(2):
        yield {"x": random.normal(size=(32, FEATURES)).astype(np.float32)}


def agreement(source: Path):
    """A metric: how often a model decides as the source does."""
    reference = ort.InferenceSession(source, providers=["CPUExecutionProvider"])

    def score(file: Path) -> float:
        model = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        same = [
            session.run(None, batch)[0].argmax(axis=1) == reference.run(None, batch)[0].argmax(axis=1)
            for session in [model]
            for batch in batches()
        ]
        return float(np.mean(same))

    return score


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """An environment that counts as Olive's, and in it a program that stands for Olive; gives a way to write it."""
    monkeypatch.setenv("ONNXYARD_HOME", str(tmp_path / "home"))
    plant(Environment(known(TOOLCHAIN), Settings.read()))
    program = tmp_path / "program.py"
    monkeypatch.setattr(olive, "_PROGRAM", program)

    def write(body: str) -> None:
        program.write_text(
            "from pathlib import Path\nimport onnx\n\n" + dedent(body) + "\nCOMMANDS = {'search': search}"
        )

    return write


REWRITES = """
def search(given, tell):
    scores = []
    with open(given["answers"]) as answers:
        for file in (given["source"], "does not run"):
            tell({"score": file})
            scores.append(answers.readline().strip())
    batches = sorted(Path(given["calibration"]).iterdir())
    model = onnx.load(given["source"])
    model.graph.node[1].op_type = "Abs"
    file = Path(given["scratch"], "best.onnx")
    onnx.save(model, file)
    passes = [{"pass": "graph rewriting"}, {"pass": "static int8", "scores": str(scores), "batches": str(len(batches))}]
    return {"file": str(file), "passes": passes, "session": {"intra_op_num_threads": "2"}, "tried": 7}
"""


def materials(score=lambda _: 0.875) -> Materials:
    return Materials(batches, score, 0.01)


def test_its_best_model_comes_back_as_a_candidate_and_says_what_made_it(tmp_path, planted):
    planted(REWRITES)
    source, folder = model_file(tmp_path), tmp_path / "made"
    folder.mkdir()

    def score(file: Path) -> float:
        if not file.exists():
            raise UnsupportedModelError("no such model")
        return 0.875

    made = OliveSearch()(source, folder, materials(score))
    assert made.changed
    assert [node.op_type for node in onnx.load(made.file).graph.node] == ["MatMul", "Abs", "MatMul"]
    assert made.facts["Olive tried"] == "7 models"
    # The program was told the metric of one model, and that the other does not run, and found our rows.
    assert "scores ['0.875', '']" in made.facts["Olive chose"]
    assert "batches 2" in made.facts["Olive chose"]
    assert made.facts["Olive's session"] == "intra_op_num_threads 2"


def test_a_search_without_a_result_is_told_as_such(tmp_path, planted):
    planted("def search(given, tell):\n    return {'file': None, 'passes': [], 'session': {}, 'tried': 12}")
    with pytest.raises(UnsupportedModelError, match="no model that keeps the metric among 12"):
        OliveSearch()(model_file(tmp_path), tmp_path, materials())


def test_a_search_that_does_not_end_is_ended(tmp_path, planted, monkeypatch):
    planted("import threading\n\ndef search(given, tell):\n    threading.Event().wait()")
    monkeypatch.setattr(olive, "_GRACE_S", 0.5)
    with pytest.raises(UnsupportedModelError, match=r"no answer in 0\.6 s"):
        OliveSearch(seconds=0.1)(model_file(tmp_path), tmp_path, materials())


def test_without_its_toolchain_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXYARD_HOME", str(tmp_path / "home"))
    with pytest.raises(MissingExtraError) as raised:
        OliveSearch()(model_file(tmp_path), tmp_path, materials())
    assert "onnxyard toolchain install olive" in raised.value.remedy


def test_it_is_searched_only_where_it_is_asked_for():
    assert recipe_named("olive").asked


WATCHED = """
import socket, sys

REACHED = []

def _watch(kind, name):
    original = getattr(kind, name)

    def watched(*given, **named):
        if not (isinstance(given[0], socket.socket) and given[0].family == socket.AF_UNIX):
            REACHED.append(f"{name} {given[1:] if isinstance(given[0], socket.socket) else given}")
        return original(*given, **named)

    setattr(kind, name, watched)

for kind, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
    _watch(kind, name)

from onnxyard.stages.optimize.passes import olive_inside

def search(given, tell):
    found = olive_inside.search(given, tell)
    found["session"] = {"reached": str(REACHED)}
    return found

COMMANDS = {"search": search}
"""


@pytest.mark.slow
def test_it_searches_in_its_own_toolchain_and_reaches_for_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXYARD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CI", raising=False)  # the toolchain sets it, wherever it runs
    install(Environment(known(TOOLCHAIN), Settings.read()), lambda _: None)
    program = tmp_path / "watched.py"
    program.write_text(WATCHED)
    monkeypatch.setattr(olive, "_PROGRAM", program)
    source, folder = model_file(tmp_path), tmp_path / "made"
    folder.mkdir()
    made = OliveSearch(seconds=15)(source, folder, materials(agreement(source)))
    assert made.facts["Olive's session"] == "reached []"
    assert int(made.facts["Olive tried"].split()[0]) > 1
    assert agreement(source)(made.file) >= 0.98
    assert "olive" not in sys.modules
