"""Export: what comes out is checked, what cannot be exported is named with its place."""

from __future__ import annotations

import json
import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small_project import FILE, MODULE, Way, write_project

import graphs
from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.saving import save_model
from onnxyard.stages.export.stage import run
from onnxyard.tensors.files import read_tensors, write_tensors


def export(project, root):
    return Way(project, root).develop().export()


def with_forward(body: str, *, extra: str = "") -> str:
    """The small module with another forward of its inner part, and untrained."""
    start, end = MODULE.index("class Network"), MODULE.index("def model")
    network = f"""
class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, features):
{body}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, features):
        return self.inner(features)

{extra}
"""
    module = MODULE[:start] + network + MODULE[end:]
    return module.replace("range(40)", "range(1)")


def line_of(module: str, text: str) -> int:
    return next(number for number, line in enumerate(module.splitlines(), 1) if text in line)


def test_the_graph_is_what_was_asked_for(exported_way):
    result = exported_way.exported
    assert result.signature == Signature(
        (TensorSpec("features", "FLOAT", ("batch", 4)),), (TensorSpec("logits", "FLOAT", ("batch", 3)),)
    )
    assert (result.opset, result.ir_version) == (20, 10)
    assert 0 <= result.max_error < 1e-4
    model = onnx.load(exported_way.workspace / "export" / "model" / "model.onnx")
    assert len(model.graph.node) == result.nodes
    assert result.exporter.startswith("torch.onnx dynamo 2.")


def test_the_sidecar_names_module_class_and_line(exported_way):
    document = json.loads((exported_way.workspace / "export" / "sidecar" / "sidecar.json").read_text())
    line = f"small.py:{line_of(MODULE, 'return self.body(features)')}"
    gemms = [node for node in document["nodes"] if node["op"] == "Gemm"]
    assert [node["module"] for node in gemms] == ["body.0", "body.2"]
    assert {node["class"] for node in gemms} == {"torch.nn.modules.linear.Linear"}
    assert {node["source"] for node in document["nodes"]} == {line}
    assert document["tensors"]["logits"] == {
        "module": "body.2",
        "class": "torch.nn.modules.linear.Linear",
        "source": line,
        "operator": "aten.linear.default",
        "value": "linear_1",
    }
    assert document["tensors"]["body.0.weight"]["module"] == "body.0"


def test_the_same_project_in_another_folder_is_the_same_model(exported_way, tmp_path):
    other = export(write_project(tmp_path / "elsewhere" / "deep"), tmp_path / "work")
    assert other.exported.model.digest == exported_way.exported.model.digest
    assert other.exported.sidecar.digest == exported_way.exported.sidecar.digest


def test_nothing_of_this_machine_is_in_the_files(exported_way):
    root = exported_way.workspace.parent
    for file in (exported_way.workspace / "export").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert str(root).encode() not in content
            assert b"site-packages" not in content
            assert b"onnxyard_project_" not in content


def test_exporting_is_quiet(exported_way, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(exported_way.export_request(), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_export_leaves_nothing_in_the_next_one(exported_way, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "half").write_text("written")
    assert run(exported_way.export_request(), tmp_path).model.digest == exported_way.exported.model.digest


@pytest.mark.parametrize("opset", [18, 25, 26, 27])
def test_opsets_are_honoured_and_keep_their_sidecar(tmp_path, opset):
    project = write_project(tmp_path / "project", file=f"{FILE}\n[export]\nopset = {opset}\n")
    way = export(project, tmp_path / "work")
    assert way.exported.opset == opset
    document = json.loads((tmp_path / "work" / "export" / "sidecar" / "sidecar.json").read_text())
    assert document["tensors"]["logits"]["module"] == "body.2"


def test_an_opset_that_only_the_legacy_exporter_gives_comes_by_it(tmp_path):
    project = write_project(tmp_path / "project", file=f"{FILE}\n[export]\nopset = 17\n")
    way = export(project, tmp_path / "work")
    assert way.exported.opset == 17
    assert way.exported.exporter.startswith("torch.onnx legacy")
    assert way.exported.max_error < 1e-4
    assert "legacy exporter" in way.exported.remedies[0]


NO_OPERATOR = """\
        wave = torch.special.airy_ai(features)
        return self.linear(wave)"""
A_BRANCH = """\
        if features.sum() > 0:
            return self.linear(features)
        return self.linear(-features)"""
A_NUMBER = """\
        total = float(features.sum())
        return self.linear(features) * (2 if total > 1 else 1)"""


@pytest.mark.parametrize(
    ("body", "said", "at"),
    [
        (
            NO_OPERATOR,
            r"aten\.special_airy_ai has no ONNX translation in the module 'inner' \(small\.Inner\)",
            "airy_ai",
        ),
        (A_BRANCH, r"A branch .*depends on the data.* in the module 'inner' \(small\.Inner\)", "features.sum() > 0"),
        (A_NUMBER, r"depends on the data.* in the module 'inner'", "float(features.sum())"),
    ],
)
def test_what_cannot_be_exported_is_named_with_its_module_and_line(tmp_path, capfd, body, said, at):
    module = with_forward(body)
    project = write_project(tmp_path / "project", module=module)
    way = Way(project, tmp_path / "work").develop()
    capfd.readouterr()
    with pytest.raises(UnsupportedModelError, match=said) as caught:
        way.export()
    assert caught.value.where == f"small.py:{line_of(module, at)}"
    assert caught.value.facts["module"] == "inner"
    assert not (tmp_path / "work" / "export" / "sidecar").exists()
    assert capfd.readouterr() == ("", "")


def test_a_batch_length_in_the_code_is_refused(tmp_path):
    module = with_forward(
        "        rows = 16 if features.shape[0] == 16 else features.shape[0]\n"
        "        return self.linear(features.reshape(rows, 4))"
    )
    project = write_project(tmp_path / "project", module=module)
    with pytest.raises(UnsupportedModelError, match="batch length is baked in"):
        export(project, tmp_path / "work")


def test_forward_must_take_the_inputs_by_name(tmp_path):
    module = (
        MODULE.replace("def forward(self, features)", "def forward(self, pixels)")
        .replace("self.body(features)", "self.body(pixels)")
        .replace("network(features)", "network(pixels=features)")
    )
    with pytest.raises((InvalidRequestError, UserCodeError)):
        export(write_project(tmp_path / "project", module=module), tmp_path / "work")


def two_inputs(order: str) -> str:
    start, end = MODULE.index("class Network"), MODULE.index("def model")
    network = f"""
class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, {order}):
        scores = self.linear(features)
        return scores, scores.sum(dim=1) - offset

"""
    module = MODULE[:start] + network + MODULE[end:]
    return module.replace("range(40)", "range(1)").replace(
        "network(features)", "network(features=features, offset=torch.zeros(len(features)))[0]"
    )


@pytest.mark.parametrize("order", ["features, offset", "offset, features"])
def test_several_inputs_and_outputs_keep_their_names(tmp_path, order):
    processing = (
        "import numpy as np\n\n\ndef preprocess(raw):\n"
        '    values = raw["measured"].astype(np.float32)\n'
        '    return {"features": values / 10, "offset": values[:, 0]}\n'
    )
    file = FILE.replace('outputs = ["logits"]', 'outputs = ["logits", "total"]')
    project = write_project(tmp_path / "project", module=two_inputs(order), file=file, processing=processing)
    way = export(project, tmp_path / "work")
    assert [spec.name for spec in way.exported.signature.inputs] == order.split(", ")
    assert [spec.name for spec in way.exported.signature.outputs] == ["logits", "total"]
    assert way.exported.max_error < 1e-4


def test_the_number_of_outputs_must_be_the_projects(exported_way, tmp_path):
    # The golden set was made with one output; a project file that names two is caught before anything is written.
    file = FILE.replace('outputs = ["logits"]', 'outputs = ["logits", "more"]')
    request = exported_way.export_request()
    project = write_project(tmp_path / "project", file=file)
    with pytest.raises(InvalidRequestError, match="forward gave 1 outputs, the project names 2"):
        run(type(request)(project, request.developed, request.fitted, request.golden_set, None), tmp_path / "work")


# --- finished files go through the same checks


@pytest.fixture
def finished(exported_way, tmp_path):
    """Export a finished file in the small project's place."""

    def take(write, *, file_lines: str = ""):
        fitted = tmp_path / "fitted"
        fitted.mkdir()
        written = write(fitted / "model.onnx")
        root = tmp_path / "project"
        root.mkdir()
        (root / "model.onnx").write_bytes((written or fitted / "model.onnx").read_bytes())
        file = FILE.replace("[project]\n", '[project]\nonnx = "model.onnx"\n') + file_lines
        project = write_project(root, file=file)
        request = exported_way.export_request()
        (tmp_path / "work").mkdir()
        return run(type(request)(project, request.developed, fitted, request.golden_set, None), tmp_path / "work")

    return take


def source_file(exported_way):
    return exported_way.workspace / "export" / "model" / "model.onnx"


def test_a_finished_file_is_taken_as_it_is(exported_way, finished):
    content = source_file(exported_way).read_bytes()
    result = finished(lambda path: path.write_bytes(content) and None)
    assert result.model.digest == exported_way.exported.model.digest
    assert result.exporter.startswith("finished file")


def test_a_finished_file_brings_its_weights_along(exported_way, finished, tmp_path):
    model = onnx.load(source_file(exported_way))
    result = finished(lambda path: save_model(model, path, external_from=0))
    assert {file.path for file in result.model.files} == {"model.onnx", "model.onnx.data"}
    OnnxRuntime().load(tmp_path / "work" / "model" / "model.onnx", provider="CPUExecutionProvider", threads=1)


def test_a_finished_file_is_brought_to_the_opset_that_is_stated(exported_way, finished):
    content = source_file(exported_way).read_bytes()
    result = finished(lambda path: path.write_bytes(content) and None, file_lines="\n[export]\nopset = 21\n")
    assert result.opset == 21
    assert result.remedies == ("Converted from opset 20 to 21.",)
    assert result.max_error < 1e-5


def test_an_opset_that_no_way_leads_to_is_refused(exported_way, finished):
    model = onnx.load(source_file(exported_way))
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Gelu", ["before"], ["logits"]))
    with pytest.raises(UnsupportedModelError, match="No way from opset 20 to 13"):
        finished(lambda path: onnx.save(model, path), file_lines="\n[export]\nopset = 13\n")


def changed(exported_way, change):
    model = onnx.load(source_file(exported_way))
    change(model)
    return lambda path: onnx.save(model, path)


def test_a_fixed_batch_axis_is_refused(exported_way, finished):
    def fix(model):
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 16

    with pytest.raises(UnsupportedModelError, match="first axis of 'features' is 16"):
        finished(changed(exported_way, fix))


def test_a_batch_length_baked_in_behind_a_free_axis_is_refused(exported_way, finished):
    def bake(model):
        last = model.graph.node[-1]
        last.output[0] = "free"
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([16, 3], np.int64), "baked"))
        model.graph.node.append(helper.make_node("Reshape", ["free", "baked"], ["logits"]))

    with pytest.raises(UnsupportedModelError, match=r"features \[1, 4\]"):
        finished(changed(exported_way, bake))


def test_an_invalid_graph_is_refused(exported_way, finished):
    with pytest.raises(UnsupportedModelError, match="not valid ONNX"):
        finished(changed(exported_way, lambda model: model.graph.node.reverse()))


def test_other_names_are_refused(exported_way, finished):
    def rename(model):
        model.graph.input[0].name = "pixels"
        for node in model.graph.node:
            node.input[:] = ["pixels" if name == "features" else name for name in node.input]

    with pytest.raises(InvalidRequestError, match="inputs are pixels, the project's are features"):
        finished(changed(exported_way, rename))


def test_an_operator_of_a_foreign_domain_is_refused(finished):
    def write(path):
        node = helper.make_node("Frobnicate", ["features"], ["logits"], domain="com.example")
        graphs.write(
            path,
            [node],
            [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
            [graphs.tensor("logits", TensorProto.FLOAT, ["batch", 3])],
        )

    with pytest.raises(UnsupportedModelError):
        finished(write)


def test_other_values_are_measured_for_the_gates_to_judge(exported_way, finished):
    def perturb(model):
        weights = model.graph.initializer[0]
        weights.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) + np.float32(0.1), weights.name)
        )

    assert finished(changed(exported_way, perturb)).max_error > 1e-2


def test_a_golden_set_of_one_row_cannot_prove_a_batch_axis(exported_way, tmp_path):
    golden = tmp_path / "golden"
    for name in ("inputs", "outputs"):
        tensors = read_tensors(exported_way.workspace / "develop" / "golden_set" / name)
        write_tensors(golden / name, {key: array[:1] for key, array in tensors.items()})
    request = exported_way.export_request()
    with pytest.raises(InvalidRequestError, match="at least two rows"):
        run(type(request)(request.project, request.developed, request.fitted, golden, None), tmp_path / "work")
