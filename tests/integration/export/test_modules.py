"""Bare torch modules in one call: every way to the graph, each proven."""

import json
import warnings
from pathlib import Path

import modules
import numpy as np
import onnx
import onnxscript
import pytest
import torch
from modules import (
    Antialiased,
    Branching,
    ByNumpy,
    Counting,
    Encoder,
    Folding,
    Halves,
    Holding,
    InDouble,
    Keeping,
    Mixed,
    Narrow,
    Normalizing,
    Numbered,
    Packed,
    Plain,
    Recurrent,
    Structured,
    Upsampled,
)

from onnxyard.diagnosis.exporting import export_module
from onnxyard.errors import InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.lifecycle.signature import TensorSpec
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.sources.torch import exporting, legacy


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


FEATURES = {"features": torch.randn(3, 4, generator=torch.Generator().manual_seed(1))}
PIXELS = {"pixels": torch.randn(3, 2, 9, 8, generator=torch.Generator().manual_seed(1))}


def sequences(length=6):
    return {
        "tokens": torch.arange(3 * length).reshape(3, length),
        "visible": torch.ones(3, length, dtype=torch.bool),
    }


SEQUENCE_AXES = {"tokens": ("batch", "length"), "visible": ("batch", "length")}


def run(folder, inputs):
    model = OnnxRuntime.load(folder / "model.onnx", provider="CPUExecutionProvider", threads=1)
    return model.run({name: tensor.numpy() for name, tensor in inputs.items()})


@pytest.mark.parametrize("opset", [7, 17, 20, 26])
def test_the_opset_that_was_asked_for_comes_out(tmp_path, opset, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proven = export_module(Plain(), FEATURES, tmp_path / "out", opset=opset)
    assert proven.checked.graph.opset == opset
    assert proven.checked.holds
    assert onnx.load(tmp_path / "out" / "model.onnx").opset_import[0].version == opset
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("opset", [6, 28])
def test_other_opsets_are_refused(tmp_path, opset):
    with pytest.raises(UnsupportedModelError, match=rf"gives opset {opset}.*7 to 27"):
        export_module(Plain(), FEATURES, tmp_path / "out", opset=opset)
    assert not (tmp_path / "out").exists()


def test_the_sidecar_of_the_legacy_exporter_names_module_and_line(tmp_path):
    export_module(Plain(), FEATURES, tmp_path / "out", opset=13)
    document = json.loads((tmp_path / "out" / "sidecar.json").read_text())
    gemms = [node for node in document["nodes"] if node["op"] == "Gemm"]
    assert [node["module"] for node in gemms] == ["body.0", "body.2"]
    assert {node["class"] for node in gemms} == {"torch.nn.modules.linear.Linear"}
    assert {node["source"].split(":")[0] for node in gemms} == {"modules.py"}
    assert len({node["source"] for node in gemms}) == 1
    assert document["tensors"]["body.0.weight"]["module"] == "body.0"
    for file in (tmp_path / "out").iterdir():
        assert b"site-packages" not in file.read_bytes()


def test_a_silent_divergence_gives_way_to_a_way_that_has_none(tmp_path):
    proven = export_module(Antialiased(), PIXELS, tmp_path / "out")
    assert proven.checked.holds
    assert proven.failed[0][0] == "torch.onnx dynamo"
    assert "differs from the source by" in proven.failed[0][1]
    assert proven.exported.remedies


def test_without_another_way_the_plain_graph_is_taken_and_says_so(tmp_path, monkeypatch):
    plainly = exporting.ways
    monkeypatch.setattr("onnxyard.sources.torch.module.ways", lambda *given: iter([next(plainly(*given))]))
    proven = export_module(Antialiased(), PIXELS, tmp_path / "out")
    assert not proven.checked.holds
    assert "the gates judge it" in proven.exported.remedies[0]


def test_a_legacy_graph_that_answers_something_else_is_refused(tmp_path):
    with pytest.raises(UnsupportedModelError, match="legacy exporter differs from the source") as caught:
        export_module(Upsampled(), PIXELS, tmp_path / "out", opset=9)
    assert len(caught.value.facts["attempts"]) == 2


def test_an_opset_beyond_what_torch_writes_is_converted_and_keeps_its_modules(tmp_path):
    proven = export_module(Normalizing(), FEATURES, tmp_path / "out", opset=27)
    assert proven.checked.graph.opset == 27
    assert proven.checked.holds
    assert proven.exported.remedies == ()
    modules = {node["module"] for node in proven.exported.sidecar["nodes"]}
    assert {"inner.0", "inner.1", "inner.2"} <= modules


def test_what_the_legacy_exporter_cannot_do_is_named_with_module_and_line(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"aten\.unflatten .* in the module 'inner\.1'") as caught:
        export_module(Folding(), FEATURES, tmp_path / "out", opset=11)
    assert caught.value.where.startswith("modules.py:")
    assert "opset 13" in caught.value.remedy
    assert "airy_ai" in caught.value.facts["attempts"][1]


# --- branches that a trace would freeze


def test_a_branch_on_data_is_refused_and_never_traced(tmp_path):
    with pytest.raises(UnsupportedModelError, match="A branch or a number in Python depends on the data") as caught:
        export_module(Branching(), FEATURES, tmp_path / "out", opset=13)
    assert caught.value.where.startswith("modules.py:")


def test_a_trace_that_froze_a_branch_is_caught_without_torch_export_too(tmp_path, monkeypatch):
    """Where torch.export refuses for another reason, nobody has vouched that there is no branch: the trace's own
    warnings count."""
    other = UnsupportedModelError("torch.export stumbled over something else")

    def stumble(*_given):
        raise other

    monkeypatch.setattr(exporting.dynamo, "capture", stumble)
    with pytest.raises(UnsupportedModelError) as caught:
        export_module(Branching(), FEATURES, tmp_path / "out", opset=13)
    assert caught.value.facts["attempts"][0].startswith("torch.onnx legacy exporter: The legacy exporter freezes")
    assert caught.value.where.startswith("modules.py:")
    # ... and a module without branches may go that way.
    assert export_module(Plain(), FEATURES, tmp_path / "plain", opset=20).exported.exporter == legacy.EXPORTER


# --- axes


def test_declared_axes_are_free_in_the_graph(tmp_path):
    proven = export_module(Encoder(), sequences(), tmp_path / "out", axes=SEQUENCE_AXES)
    signature = proven.checked.graph.signature
    assert signature.inputs == (
        TensorSpec("tokens", "INT64", ("batch", "length")),
        TensorSpec("visible", "BOOL", ("batch", "length")),
    )
    assert [(spec.name, spec.shape[0]) for spec in signature.outputs] == [("pooled", "batch"), ("states", "batch")]
    assert run(tmp_path / "out", sequences(11))["states"].shape == (3, 11, 8)


def test_a_length_that_the_legacy_exporter_bakes_in_is_caught_and_converted_instead(tmp_path):
    proven = export_module(Encoder(), sequences(), tmp_path / "out", opset=17, axes=SEQUENCE_AXES)
    assert proven.failed[0][0] == "torch.onnx legacy exporter"
    assert "length 7 of the axis 'length'" in proven.failed[0][1]
    assert "Exported at opset 18 and converted to 17" in proven.exported.remedies[0]
    assert run(tmp_path / "out", sequences(11))["states"].shape == (3, 11, 8)


def test_len_of_a_tensor_leaves_the_batch_free_and_is_pythons_again_afterwards(tmp_path):
    module = Holding(Counting())
    export_module(module, FEATURES, tmp_path / "out")
    more = {"features": torch.randn(5, 4)}
    np.testing.assert_allclose(run(tmp_path / "out", more)["output"], module(**more).detach().numpy(), rtol=1e-5)
    assert "len" not in vars(modules)


def line(mark):
    lines = Path(modules.__file__).read_text().splitlines()
    return f"modules.py:{next(at for at, text in enumerate(lines, 1) if text.endswith(mark))}"


def test_a_kernel_that_the_runtime_lacks_is_told_with_its_type_and_line(tmp_path):
    with pytest.raises(UnsupportedModelError, match="no Erf for DOUBLE, in the module 'part'") as refused:
        export_module(Holding(InDouble()), FEATURES, tmp_path / "out", opset=18)
    assert refused.value.where == line("# in double")


def test_a_length_that_forward_itself_does_not_take_is_told_with_its_line(tmp_path):
    steps = {"steps": torch.ones(3, 5, 4)}
    with pytest.raises(InvalidRequestError, match="runs at no other length") as refused:
        export_module(Keeping(), steps, tmp_path / "out", axes={"steps": ("batch", "time", 4)})
    assert refused.value.detail.endswith(f"({line('# kept')})")


def test_the_line_that_makes_the_batch_a_number_is_named(tmp_path):
    with pytest.raises(UnsupportedModelError) as refused:
        export_module(Holding(Numbered()), FEATURES, tmp_path / "out")
    lines = Path(modules.__file__).read_text().splitlines()
    assert (
        refused.value.where == f"modules.py:{next(at for at, text in enumerate(lines, 1) if text.endswith('# here'))}"
    )
    assert refused.value.facts["module"] == "part"
    assert "batch length is baked in" in refused.value.detail


PACKED = {"steps": torch.ones(3, 5, 4), "lengths": torch.tensor([5, 2, 3])}


@pytest.mark.parametrize(
    ("module", "example", "told", "remedy"),
    [(Packed(), PACKED, "A packed sequence", "gather"), (ByNumpy(), FEATURES, "to numpy", "torch's own functions")],
    ids=["packed", "numpy"],
)
def test_what_torch_refuses_in_riddles_is_told_plainly(tmp_path, module, example, told, remedy):
    with pytest.raises(UnsupportedModelError, match=told) as refused:
        export_module(module, example, tmp_path / "out")
    assert remedy in refused.value.remedy
    assert refused.value.where.startswith("modules.py:")


def test_a_rule_on_an_axis_is_inferred(tmp_path):
    proven = export_module(
        Halves(), {"tokens": torch.randn(3, 6)}, tmp_path / "out", axes={"tokens": ("rows", "length")}
    )
    assert proven.checked.graph.signature.inputs[0].shape == ("rows", "length")
    assert run(tmp_path / "out", {"tokens": torch.ones(2, 10)})["output"].shape == (2, 5)


def test_no_output_is_declared_in_the_examples_length(tmp_path):
    steps = {"steps": torch.randn(3, 7, 4)}
    proven = export_module(Recurrent(), steps, tmp_path / "out", opset=20, axes={"steps": ("batch", "time", 4)})
    assert proven.exported.exporter.startswith("torch.onnx dynamo")
    (output,) = proven.checked.graph.signature.outputs
    assert output.shape == ("batch", "output_1", 3)
    assert run(tmp_path / "out", {"steps": torch.zeros(2, 9, 4)})["output"].shape == (2, 9, 3)


def test_fixed_axes_stay_fixed(tmp_path):
    proven = export_module(Plain(), FEATURES, tmp_path / "out", opset=17, axes={"features": ("rows", 4)})
    assert [spec.shape for spec in proven.checked.graph.signature.inputs] == [("rows", 4)]


def test_wrong_axes_are_told(tmp_path):
    with pytest.raises(InvalidRequestError, match="no input 'words'"):
        export_module(Plain(), FEATURES, tmp_path / "out", axes={"words": ("batch", "length")})


# --- inputs and outputs


@pytest.mark.parametrize("opset", [13, 20])
def test_a_dataclass_goes_by_its_names(tmp_path, opset):
    export_module(Structured(), FEATURES, tmp_path / "out", outputs=("boxes", "scores"), opset=opset)
    answer = run(tmp_path / "out", FEATURES)
    np.testing.assert_allclose(answer["boxes"], FEATURES["features"] * 2, rtol=1e-6)
    np.testing.assert_allclose(answer["scores"], FEATURES["features"].sum(1), rtol=1e-5)


def test_an_optional_output_is_refused_by_name(tmp_path):
    with pytest.raises(UnsupportedModelError, match="'extra' is None"):
        export_module(Structured(), FEATURES, tmp_path / "out", outputs=("boxes", "scores", "extra"))


def test_integers_and_booleans_go_in(tmp_path):
    example = {"count": torch.tensor([2, 3, 4]), "keep": torch.tensor([True, False, True]), **FEATURES}
    export_module(Mixed(), example, tmp_path / "out")
    answer = run(tmp_path / "out", example)["output"]
    np.testing.assert_allclose(answer, Mixed()(**example), rtol=1e-6)


@pytest.mark.parametrize("opset", [13, 20])
def test_bfloat16_weights_stay_bfloat16_and_are_computed_in_float32(tmp_path, opset):
    module = Narrow()
    proven = export_module(module, FEATURES, tmp_path / "out", opset=opset)
    model = onnx.load(tmp_path / "out" / "model.onnx")
    kinds = {tensor.data_type for tensor in model.graph.initializer if tensor.name.startswith(("linear", "norm"))}
    assert kinds == {onnx.TensorProto.BFLOAT16}
    assert proven.checked.graph.precision == "bf16"
    assert any("weights stay bfloat16" in remedy for remedy in proven.exported.remedies)
    answer = run(tmp_path / "out", FEATURES)["output"]
    assert answer.dtype == np.float32
    with torch.no_grad():
        source = module(**FEATURES).float().numpy()
    assert np.abs(answer - source).max() < 0.03 * np.abs(source).max()


def test_a_bfloat16_input_is_refused_by_name(tmp_path):
    example = {"features": FEATURES["features"].to(torch.bfloat16)}
    with pytest.raises(UnsupportedModelError, match="input 'features' is BFLOAT16"):
        export_module(Narrow(), example, tmp_path / "out", opset=17)


def test_a_module_is_left_as_it_was(tmp_path):
    module = Plain().train()
    module.body[1].eval()
    export_module(module, FEATURES, tmp_path / "out")
    assert (module.training, module.body[0].training, module.body[1].training) == (True, True, False)


def test_forward_failing_is_the_users(tmp_path):
    with pytest.raises(UserCodeError, match="forward raised: RuntimeError") as refused:
        export_module(Plain(), {"features": torch.zeros(3, 5)}, tmp_path / "out")
    assert refused.value.where.startswith("modules.py:")


def test_one_row_is_no_example(tmp_path):
    with pytest.raises(InvalidRequestError, match="at least two rows"):
        export_module(Plain(), {"features": torch.zeros(1, 4)}, tmp_path / "out")


# --- the project's own translations


@torch.library.custom_op("onnxyard_tests::frobnicate", mutates_args=())
def frobnicate(features: torch.Tensor) -> torch.Tensor:
    return features * 2 + 1


@frobnicate.register_fake
def _(features):
    return torch.empty_like(features)


class Custom(torch.nn.Module):
    def forward(self, features):
        return frobnicate(features)


def translated(features):
    op = onnxscript.opset18
    return op.Add(op.Mul(features, op.Constant(value_float=2.0)), op.Constant(value_float=1.0))


def translated_wrongly(features):
    op = onnxscript.opset18
    return op.Mul(features, op.Constant(value_float=2.0))


def test_a_custom_operator_without_a_translation_is_named(tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"onnxyard_tests\.frobnicate has no ONNX translation"):
        export_module(Custom(), FEATURES, tmp_path / "out")


def test_the_projects_translation_cures_it_and_is_told(tmp_path):
    table = {"onnxyard_tests::frobnicate": translated}
    proven = export_module(Custom(), FEATURES, tmp_path / "out", translations=table)
    assert proven.exported.remedies == ("onnxyard_tests::frobnicate: translated by the project's own function.",)


def test_a_translation_that_is_wrong_is_refused(tmp_path):
    table = {"onnxyard_tests::frobnicate": translated_wrongly}
    with pytest.raises(UnsupportedModelError) as caught:
        export_module(Custom(), FEATURES, tmp_path / "out", translations=table, opset=18)
    assert any("differs from the source" in one for one in caught.value.facts["attempts"])
