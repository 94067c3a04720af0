"""What single precision passes promise, each with the fault that it is there for."""

import subprocess
import sys
from itertools import count

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.runtimes import machine
from onnxyard.stages.optimize.passes import float16, saturation
from onnxyard.stages.optimize.passes.activation_ranges import MeasureRanges, noted_ranges
from onnxyard.stages.optimize.passes.float16 import Float16
from onnxyard.stages.optimize.passes.half_weights import HalfWeights
from onnxyard.stages.optimize.passes.int4_weights import QuantizeWeightsInt4
from onnxyard.stages.optimize.passes.qnn_qdq import QuantizeForQnn
from onnxyard.stages.optimize.passes.quantize_dynamic import QuantizeDynamic
from onnxyard.stages.optimize.passes.quantize_static import QuantizeStatic
from onnxyard.stages.optimize.passes.rows_run import run_rows
from onnxyard.stages.optimize.passes.transformation import Materials
from onnxyard.stages.optimize.passes.typed_graph import load_typed

HEADER = '<ir_version: 8, opset_import: ["" : {opset}]>\n'
PERCEPTRON = """
network (float[batch, 64] x) => (float[batch, 32] y) {
  hidden = Gemm (x, w1, b1)
  positive = Relu (hidden)
  y = Gemm (positive, w2, b2)
}
"""


def perceptron(opset=20):
    model = parser.parse_model(HEADER.format(opset=opset) + PERCEPTRON)
    random = np.random.default_rng(0)
    shapes = {"w1": (64, 64), "b1": (64,), "w2": (64, 32), "b2": (32,)}
    for name, shape in shapes.items():
        values = random.normal(0.0, 0.2, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return model


def rows(number=512, *, outliers=0):
    values = np.random.default_rng(1).normal(size=(number, 64)).astype(np.float32)
    values[:outliers, 0] = 400.0
    return values


@pytest.fixture
def tried(tmp_path):
    """Apply passes in turn to a model, calibrated on the given rows."""
    source = tmp_path / "source" / "model.onnx"
    source.parent.mkdir()
    numbers = count()

    def calibration(given):
        yield from ({"x": part} for part in np.array_split(given, max(len(given) // 32, 1)))

    def apply(model, *passes, given=None):
        onnx.save_model(model, source)
        file, done = source, None
        given = rows() if given is None else given
        for each in passes:
            folder = tmp_path / str(next(numbers))
            folder.mkdir()
            done = each(file, folder, Materials(lambda: calibration(given), lambda _: 0.0, 0.0))
            file = done.file
        return done

    return apply


def error_db(model, done, given, **how):
    expected = next(run_rows(model, [{"x": given}]))
    return compare(expected, next(run_rows(onnx.load(done.file), [{"x": given}], **how))).snr_db


def test_ranges_are_noted_and_the_graph_stays_as_it_is(tried):
    done = tried(perceptron(), MeasureRanges())
    assert not done.changed
    model = onnx.load(done.file)
    low, high = noted_ranges(model, "minmax")["x"]
    assert (low, high) == pytest.approx((rows().min(), rows().max()))
    assert not model.metadata_props  # they are taken out


def test_methods_differ_on_data_with_outliers_and_clipping_keeps_the_others_apart(tried):
    model, usual = perceptron(), rows(64)
    ranged, given = {}, rows(outliers=2)
    errors = {}
    for method in ("minmax", "entropy", "percentile"):
        done = tried(model, MeasureRanges(percentile=99.9), QuantizeStatic(method, reduced=True), given=given)
        errors[method] = error_db(model, done, usual)
        ranged[method] = noted_ranges(onnx.load(tried(model, MeasureRanges(99.9), given=given).file), method)["x"][1]
    assert ranged["minmax"] == 400.0
    assert ranged["entropy"] < 50.0
    assert ranged["percentile"] < 10.0
    assert errors["minmax"] + 10 < min(errors["entropy"], errors["percentile"])


@pytest.mark.parametrize("activations", ["int8", "uint8"])
def test_weights_in_7_bits_compute_what_the_graph_says_on_any_processor(activations, tried):
    """In 8 bits, on processors without VNNI, ONNX Runtime answers otherwise than the graph says: the 16-bit sums."""
    model = perceptron()
    reduced = tried(model, MeasureRanges(), QuantizeStatic(activations=activations, reduced=True))
    assert error_db(model, reduced, rows()) == pytest.approx(error_db(model, reduced, rows(), as_written=True), abs=0.5)
    whole = tried(model, MeasureRanges(), QuantizeStatic(activations=activations, reduced=False))
    lost = error_db(model, whole, rows(), as_written=True) - error_db(model, whole, rows())
    assert (lost > 3.0) == saturation.int8_products_saturate()


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [("avx avx2 fma", True), ("avx2 avx512f avx512_vnni", False), ("avx2 avx_vnni", False), ("asimd asimddp", False)],
)
def test_the_processor_says_whether_products_saturate(flags, saturates, monkeypatch):
    monkeypatch.setattr(saturation, "describe", lambda: {**machine.describe(), "flags": flags})
    assert saturation.int8_products_saturate() is saturates
    assert QuantizeStatic().reduced is saturates


def test_an_old_opset_is_raised_so_that_channels_have_scales(tried):
    done = tried(perceptron(opset=11), MeasureRanges())
    assert done.changed
    assert done.facts == {"opset": "raised from 11 to 13"}
    assert tried(perceptron(opset=11), MeasureRanges(), QuantizeStatic()).facts["quantized"] == "2 of 2 layers"


@pytest.mark.parametrize("each", [QuantizeStatic(), Float16(), QuantizeForQnn()])
def test_a_pass_that_needs_ranges_says_so(each, tried):
    with pytest.raises(UnsupportedModelError, match="No activation ranges were measured"):
        tried(perceptron(), each)


@pytest.mark.parametrize(
    "passes", [(MeasureRanges(), QuantizeStatic()), (QuantizeDynamic(),), (QuantizeWeightsInt4(),)], ids=str
)
def test_a_model_without_layers_is_no_success(passes, tried):
    model = parser.parse_model(
        HEADER.format(opset=20) + "g (float[batch, 64] x) => (float[batch, 64] y) { y = Relu(x) }"
    )
    with pytest.raises(UnsupportedModelError, match="no node was quantized"):
        tried(model, *passes)


ATTENTION = """
network (float[batch, 8, 64] x) => (float[batch, 8, 64] y) {
  key = MatMul (x, w1)
  met = Attention <q_num_heads = 4, kv_num_heads = 4> (x, key, x)
  y = MatMul (met, w1)
}
"""


@pytest.mark.parametrize("passes", [(QuantizeDynamic(),), (MeasureRanges(), QuantizeStatic())], ids=str)
@pytest.mark.parametrize("opset", [23, 24])
def test_attention_of_new_opsets_stays_in_float(opset, passes, tried):
    model = parser.parse_model(HEADER.format(opset=opset) + ATTENTION)
    model.graph.initializer.append(perceptron().graph.initializer[0])
    given = rows().reshape(-1, 8, 64)
    done = tried(model, *passes, given=given)
    assert done.facts["quantized"].startswith("2 of 2")
    assert [node.op_type for node in onnx.load(done.file).graph.node].count("Attention") == 1
    assert error_db(model, done, given) > 25.0


def test_int4_takes_gemm_too_and_shrinks_it(tried):
    done = tried(perceptron(), QuantizeWeightsInt4())
    assert done.facts["quantized"].startswith("2 of 2 matrix products")
    assert [node.op_type for node in load_typed(done.file).graph.node].count("MatMulNBits") == 2
    assert done.file.stat().st_size < perceptron().ByteSize() / 3


def test_int4_in_the_standards_form_leaves_out_what_does_not_divide_into_blocks(tried):
    done = tried(perceptron(), QuantizeWeightsInt4("standard", block=64))
    assert done.facts["quantized"].startswith("2 of 2")
    with pytest.raises(UnsupportedModelError, match="no node was quantized"):
        tried(perceptron(), QuantizeWeightsInt4("standard", block=128))


def wide(back=1e-5):
    """Its hidden values reach far beyond float16, and come back."""
    model = perceptron()
    for tensor in model.graph.initializer:
        if tensor.name in {"w1", "b1", "w2"}:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(back if tensor.name == "w2" else 1e5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model


def test_what_overflows_float16_stays_in_float32_and_is_named(tried):
    done = tried(wide(), MeasureRanges(), Float16())
    assert "kept in float32" in done.facts
    assert "reaches" in done.facts["kept in float32"]
    assert error_db(wide(), done, rows()) > 40.0
    beyond = wide(back=1.0)  # the answers themselves
    assert error_db(beyond, tried(beyond, MeasureRanges(), Float16()), rows()) > 40.0


def test_an_overflow_that_was_not_foreseen_is_refused(tried, monkeypatch):
    def overflowing(model, batches):
        halves = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
        return ({"y": np.full(1, np.inf if halves else 1.0)} for _ in batches)

    monkeypatch.setattr(float16, "run_rows", overflowing)
    with pytest.raises(UnsupportedModelError, match="not finite"):
        tried(perceptron(), MeasureRanges(), Float16())


def test_weights_beyond_a_16_bit_format_are_stored_as_they_are(tried):
    model = wide()
    done = tried(model, HalfWeights("fp16"))
    assert done.facts["stored in float32"] == "w1: beyond fp16"
    done = tried(model, HalfWeights("bf16"))
    assert "stored in float32" not in done.facts
    assert error_db(model, done, rows()) > 40.0


def test_nncf_sends_prints_and_leaves_nothing_behind(tmp_path):
    """In a process of its own: under pytest, NNCF switches its telemetry off by itself."""
    onnx.save_model(perceptron(), tmp_path / "model.onnx")
    (tmp_path / "made").mkdir()
    program = f"""
import logging, socket
from pathlib import Path
import numpy as np
def refuse(*_, **__):
    raise AssertionError("a connection is made")
socket.socket.connect = socket.getaddrinfo = refuse
from onnxyard.stages.optimize.passes.nncf_int8 import QuantizeWithNncf
from onnxyard.stages.optimize.passes.transformation import Materials
before = (logging.getLoggerClass(), logging.getLogger().level, logging.getLogger().handlers[:])
batch = {{"x": np.random.default_rng(0).normal(size=(32, 64)).astype(np.float32)}}
folder = Path({str(tmp_path)!r})
done = QuantizeWithNncf()(folder / "model.onnx", folder / "made", Materials(lambda: iter([batch]), lambda _: 0.0, 0.0))
assert done.facts["quantized"] == "2 of 2 layers", done.facts
assert before == (logging.getLoggerClass(), logging.getLogger().level, logging.getLogger().handlers[:])
import nncf.telemetry.wrapper as wrapper
assert isinstance(wrapper.telemetry, wrapper.NNCFTelemetryStub)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)
