"""A project whose steps are part of the graph, through the stages: the same steps everywhere, raw input to answer."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxyard.diagnosis.blame import TorchSource, blame
from onnxyard.diagnosis.proving import prove
from onnxyard.errors import ProjectFileError, UnsupportedModelError, UserCodeError
from onnxyard.lifecycle.candidate import Outcome
from onnxyard.processing.composing import parts_of
from onnxyard.project.project import load_project
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.machine import fingerprint
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.runtimes.openvino import OpenVino
from onnxyard.runtimes.rehearsal import rehearse
from onnxyard.sources.by_name import source_of
from onnxyard.sources.processed import without_steps
from onnxyard.sources.source import Asked
from onnxyard.sources.torch.reference import load_module
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run as develop
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.export.stage import run as export
from onnxyard.stages.optimize.making import make
from onnxyard.stages.optimize.passes.transformation import Materials
from onnxyard.stages.optimize.recipes.catalogue import RECIPES
from onnxyard.stages.optimize.request import OptimizeRequest
from onnxyard.stages.optimize.shelf import Shelf
from onnxyard.stages.optimize.stage import run as optimize
from onnxyard.stages.validate.request import ValidateRequest
from onnxyard.stages.validate.stage import run as validate
from onnxyard.tensors.files import read_tensors

MODULE = """
import numpy as np
import torch
from torch import nn

from onnxyard.project.data import Split, Splits

WORDS = np.array(["red", "green", "blue"], dtype=object)


def rows(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]])
    values = (centres[labels] + random.normal(size=(count, 4))) * 10
    return Split({"measured": np.rint(values).astype(np.int32), "said": WORDS[random.integers(0, 3, count)]}, labels)


def data(config):
    return Splits(train=rows(200, 1), calibration=rows(64, 2), validation=rows(150, 3), test=rows(400, 4))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, measured, ids, mask):
        return self.body(measured) + 0.0 * (ids * mask).sum(dim=1, keepdim=True)


def model(config):
    return Network()


def train(splits, config, report):
    network = model(config)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    inputs = {name: torch.from_numpy(values) for name, values in splits.train.inputs.items()}
    assert inputs["measured"].dtype == torch.float32
    for epoch in range(40):
        loss = nn.functional.cross_entropy(network(**inputs), torch.from_numpy(splits.train.targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    report(0, {"loss": loss.item()})
    return network


def metrics(targets, outputs):
    return {"accuracy": float(np.mean(outputs["colour"] == WORDS[targets]))}
"""

FILE = """
[project]
name = "small"
module = "small.py"
outputs = ["logits"]

[[preprocess]]
step = "normalize"
input = "measured"
scale = 0.1

[[preprocess]]
step = "tokenize"
input = "said"
vocabulary = "words.txt"
length = 4

[[postprocess]]
step = "softmax"
input = "logits"
output = "probabilities"

[[postprocess]]
step = "argmax"
input = "probabilities"
output = "colour"
keep = true

[[postprocess]]
step = "labels"
input = "colour"
names = ["red", "green", "blue"]

[develop]
seed = 3
golden_rows = 16

[export]
opset = 18

[optimize]
max_drop = 0.05
repeats = 30
budget_s = 30
recipes = ["fp32", "int8-qdq"]

[gates]
max_flips = 0.2
p99_ms = 500.0

[gates.quality]
accuracy = 0.9
"""
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "green", "blue"]


def written(root, file=FILE, module=MODULE):
    root.mkdir(parents=True, exist_ok=True)
    (root / "small.py").write_text(module)
    (root / "words.txt").write_text("\n".join(VOCABULARY) + "\n")
    (root / "onnxyard.toml").write_text(file)
    return load_project(root)


class Way:
    """One project's results and folders."""

    def __init__(self, folder, project):
        self.folder, self.project = folder, project
        self.developed = develop(DevelopRequest(project), folder)
        self.golden = {n: read_tensors(folder / "golden_set" / n) for n in ("raw", "inputs", "outputs", "answers")}
        self.exported = export(self.export_request(project), folder)

    def export_request(self, project):
        return ExportRequest(project, self.developed, self.folder / "fitted", self.folder / "golden_set", None)

    @property
    def model_file(self):
        return self.folder / "model" / "model.onnx"


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    folder = tmp_path_factory.mktemp("way")
    return Way(folder, written(folder / "project"))


def test_one_model_goes_from_the_raw_input_to_the_answer(way):
    assert way.developed.processing is None
    assert [spec.name for spec in way.exported.signature.inputs] == ["measured", "said"]
    assert [(spec.name, spec.dtype) for spec in way.exported.signature.outputs] == [
        ("probabilities", "FLOAT"),
        ("colour", "STRING"),
    ]
    assert way.exported.signature == way.developed.signature
    assert way.exported.opset == 18
    assert way.exported.max_error < 1e-5


def test_the_golden_set_starts_at_the_raw_input_and_ends_at_the_answer(way):
    assert way.golden["raw"]["measured"].dtype == np.int32
    assert way.golden["raw"]["said"].dtype == object
    for one, other in (("raw", "inputs"), ("outputs", "answers")):
        assert all(np.array_equal(values, way.golden[other][name]) for name, values in way.golden[one].items())
    assert set(way.golden["answers"]["colour"]) <= {"red", "green", "blue"}
    assert way.developed.quality["accuracy"] > 0.9


def test_the_sidecar_marks_the_steps_and_keeps_the_models_origins(way):
    sidecar = json.loads((way.folder / "sidecar" / "sidecar.json").read_text())
    graph = onnx.load(way.model_file).graph
    nodes = {node["name"]: node for node in sidecar["nodes"]}
    steps = [node for node in graph.node if node.name.startswith(("preprocess/", "postprocess/"))]
    assert {nodes[node.name]["module"] for node in steps} >= {"preprocess/0.normalize", "preprocess/1.tokenize"}
    assert {nodes[node.name]["source"] for node in steps} == {"onnxyard.toml"}
    core = [node for node in graph.node if node not in steps]
    assert {nodes[node.name]["module"] for node in core} >= {"body.0", "body.2"}
    for node in core:  # outputs were renamed where they meet a step
        assert nodes[node.name]["outputs"] == list(node.output)
        assert set(node.output) <= sidecar["tensors"].keys()


def test_quantizers_leave_the_steps_alone_and_the_gates_take_names_as_decisions(way):
    request = OptimizeRequest(way.project, way.developed, way.exported, way.folder / "model", None, fingerprint())
    optimized = optimize(request, way.folder)
    made = {candidate.name: candidate for candidate in optimized.candidates}
    quantized = made["int8-qdq"]
    assert quantized.outcome in {Outcome.MEASURED, Outcome.STOPPED}, quantized.note
    assert quantized.precision == "int8"
    assert quantized.quality is None or quantized.quality > 0.85
    result = validate(
        ValidateRequest(
            way.project,
            way.developed,
            way.exported,
            optimized,
            {"cpu": way.folder / "model-cpu"},
            way.folder / "fitted",
            way.folder / "golden_set",
            None,
            fingerprint(),
        ),
        way.folder,
    )
    assert {gate.name: gate.outcome.value for gate in result.gates if gate.outcome.value != "passed"} == {}


def test_a_quantized_candidate_holds_the_steps_and_integer_arithmetic(way, tmp_path):
    raw = way.golden["raw"]
    recipe, materials = RECIPES["int8-qdq"], Materials(lambda: iter([raw]), lambda _: 1.0, 0.01)
    candidate = make(
        recipe, way.model_file, tmp_path / "made", materials, shelf=Shelf(tmp_path / "shelf"), materials_digest="golden"
    )
    made, graph = candidate.file, read_graph(candidate.file)
    assert (candidate.precision, candidate.portable) == ("int8", False)
    assert graph.opset == 18
    assert "ai.onnx.contrib::BertTokenizer" in graph.operators
    answer = OnnxRuntime().load(made, provider="CPUExecutionProvider", threads=1).run(raw)
    np.testing.assert_allclose(answer["probabilities"], way.golden["answers"]["probabilities"], atol=0.2)
    before, after = parts_of(onnx.load(way.model_file)), parts_of(onnx.load(made))
    assert [node.name for node in after.before.graph.node] == [node.name for node in before.before.graph.node]
    assert [node.name for node in after.behind.graph.node] == [node.name for node in before.behind.graph.node]
    assert "QuantizeLinear" in {node.op_type for node in after.core.graph.node}


def test_the_child_of_a_rehearsal_runs_the_steps_operators_too(way):
    report = rehearse(
        way.model_file,
        inputs=way.folder / "golden_set" / "raw",
        expected=way.folder / "golden_set" / "answers",
        signature=way.exported.signature,
    )
    assert report.rows == 16
    assert report.max_error < 1e-5


def test_blame_looks_between_the_steps(way, tmp_path):
    planted = onnx.load(way.model_file)
    weight = next(tensor for tensor in planted.graph.initializer if tensor.name == "body.2.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
    onnx.save(planted, tmp_path / "planted.onnx")
    sidecar = json.loads((way.folder / "sidecar" / "sidecar.json").read_text())
    alone, told = without_steps(tmp_path / "planted.onnx", sidecar, tmp_path)
    asked = source_of(way.project).model_asked(way.project, Asked(way.golden["raw"], (), None, {}, {}))
    module = load_module(way.project, way.folder / "fitted")
    found = blame(TorchSource(module, outputs=asked.outputs, axes=asked.axes), alone, asked.inputs, sidecar=told)
    assert found.culprit is not None
    assert (found.culprit.spot.module, found.culprit.spot.source) == ("body.2", "small.py:29")


def test_openvino_refuses_the_tokenizer_by_name(way):
    with pytest.raises(UnsupportedModelError, match="BertTokenizer"):
        OpenVino.load(way.model_file, provider="CPU", threads=1)


def test_without_the_extensions_it_says_what_to_install(way):
    program = (
        "import sys; sys.modules['onnxruntime_extensions'] = None\n"
        "from pathlib import Path\n"
        "from onnxyard.errors import MissingExtraError\n"
        "from onnxyard.runtimes.onnxruntime import OnnxRuntime\n"
        "try: OnnxRuntime.load(Path(sys.argv[1]), provider='CPUExecutionProvider', threads=1)\n"
        "except MissingExtraError as error: print(error.facts['extra'], error.remedy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, way.model_file], check=True, capture_output=True, text=True)
    assert done.stdout == "processing Install it with: pip install 'onnxyard[processing]'\n"


def test_a_model_without_such_operators_does_not_load_the_extensions():
    program = (
        "import sys\n"
        "from onnxyard.lifecycle.signature import TensorSpec\n"
        "from onnxyard.processing.composing import front\n"
        "from onnxyard.processing.steps import BY_NAME\n"
        "from onnxyard.runtimes.onnxruntime import OnnxRuntime\n"
        "step = BY_NAME['normalize'](step='normalize', input='x')\n"
        "piece = front([step], [TensorSpec('x', 'INT32', ('batch', 4))], opset=20, root=None)\n"
        "OnnxRuntime.load_bytes(piece.model.SerializeToString())\n"
        "assert 'onnxruntime_extensions' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("opset", [13, 17, 23])
def test_the_whole_has_exactly_the_opset_asked_for(way, tmp_path, opset):
    source, raw, answers = source_of(way.project), way.golden["raw"], way.golden["answers"]
    asked = Asked(raw, tuple(answers), opset, {}, {})
    attempts = source.attempts(way.project, way.folder / "fitted", asked)
    proven = prove(attempts, tmp_path / "model", asked, answers)
    assert proven.checked.graph.opset == opset
    assert proven.checked.max_error < 1e-5


def test_an_opset_too_old_for_steps_is_a_mistake_in_the_file(tmp_path):
    with pytest.raises(ProjectFileError) as caught:
        written(tmp_path / "p", FILE.replace("opset = 18", "opset = 11"))
    assert caught.value.facts["problems"] == [
        "onnxyard.toml:39: [export] opset: steps ([[preprocess]]) need opset 13 or newer, not 11"
    ]


def test_a_step_that_does_not_fit_the_data_is_named_before_anything_is_trained(tmp_path):
    project = written(tmp_path / "p", FILE.replace('input = "measured"', 'input = "mesured"'))
    with pytest.raises(UserCodeError, match="no tensor 'mesured'") as caught:
        develop(DevelopRequest(project), tmp_path / "out")
    assert caught.value.where == "[[preprocess]] step 1 (normalize)"
    assert "measured, said" in caught.value.remedy


def test_another_vocabulary_is_another_project(way, tmp_path):
    same = written(tmp_path / "p")
    assert same.code_digest == way.project.code_digest
    (tmp_path / "p" / "words.txt").write_text("\n".join([*VOCABULARY, "grey"]) + "\n")
    assert load_project(tmp_path / "p").code_digest != way.project.code_digest
    scale = written(tmp_path / "q", FILE.replace("scale = 0.1", "scale = 0.2"))
    assert DevelopRequest(scale).key() != DevelopRequest(way.project).key()


def test_steps_stand_around_a_finished_file_too(way, tmp_path):
    core = tmp_path / "core.onnx"
    plain = written(tmp_path / "plain", FILE.partition("[[preprocess]]")[0] + "[gates.quality]\naccuracy = 0.9\n")
    asked = source_of(way.project).model_asked(
        way.project, Asked(way.golden["raw"], ("probabilities", "colour"), 18, {}, {})
    )
    next(iter(source_of(plain).attempts(plain, way.folder / "fitted", asked))).make(core)
    root = tmp_path / "finished"
    written(root)
    (root / "core.onnx").write_bytes(core.read_bytes())
    finished = written(
        root,
        FILE.replace('module = "small.py"', 'module = "small.py"\nonnx = "core.onnx"').replace(
            "[export]\nopset = 18\n", ""
        ),
    )
    (tmp_path / "out").mkdir()
    again = Way(tmp_path / "out", finished)
    assert again.exported.opset == 18
    np.testing.assert_allclose(
        again.golden["answers"]["probabilities"], way.golden["answers"]["probabilities"], atol=1e-5
    )


def test_python_processing_may_stand_outside_of_the_steps(tmp_path):
    file = FILE.replace('module = "small.py"', 'module = "small.py"\nprocessing = "processing.py"')
    root = tmp_path / "p"
    root.mkdir()
    (root / "processing.py").write_text(
        "def preprocess(raw):\n    return {**raw, 'measured': raw['measured'] * 1}\n\n\n"
        "def postprocess(outputs):\n    return {'colour': outputs['colour']}\n"
    )
    (tmp_path / "out").mkdir()
    project = written(root, file)
    developed = develop(DevelopRequest(project), tmp_path / "out")
    assert developed.processing is not None
    assert list(read_tensors(tmp_path / "out" / "golden_set" / "outputs")) == ["probabilities", "colour"]
    assert list(read_tensors(tmp_path / "out" / "golden_set" / "answers")) == ["colour"]
