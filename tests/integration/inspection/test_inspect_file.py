"""Inspecting files in a child: what is found, what is refused, and that the parent stays what it was."""

from __future__ import annotations

import time

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphs
import hostile
from onnxyard.diagnosis.codes import CODES
from onnxyard.diagnosis.exporting import export_file
from onnxyard.diagnosis.inspection.inspecting import inspect_file
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, NotFoundError, UnsupportedModelError
from onnxyard.lifecycle.digest import file_digest
from onnxyard.lifecycle.finding import Severity
from onnxyard.sources.admission.admitting import Admitted, Trial, admit, look_at
from onnxyard.sources.admission.laid_out import rows_by_two

ALWAYS = {"release-needed", "unpinned"}
FLOAT = TensorProto.FLOAT


def codes(file, **asked):
    return {finding.code for finding in inspect_file(file, **asked)} - ALWAYS


def one(file, code, **asked):
    (finding,) = [finding for finding in inspect_file(file, **asked) if finding.code == code]
    assert finding.severity is CODES[code].severity
    assert finding.why
    assert finding.remedy
    return finding


def changed(path, change):
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def children():
    """Processes of ours: a browser that other tests keep open may have our name in a path of its own."""
    started = psutil.Process().children(recursive=True)
    return [child for child in started if "-m onnxyard" in " ".join(child.cmdline())]


# --- what is refused


@pytest.mark.parametrize("name", ["greedy at run time", "nested functions", "bit flipped", "unknown domain"])
def test_a_bomb_is_one_blocked_finding(tmp_path, name):
    write, code, said = hostile.BOMBS[name]
    file = write(tmp_path / "model.onnx")
    before = psutil.Process().memory_info().rss
    (finding,) = inspect_file(file)
    assert (finding.code, finding.severity) == (code, Severity.BLOCKED)
    assert said in finding.what
    assert psutil.Process().memory_info().rss - before < 50e6
    assert not children()
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_loop_that_only_shows_when_it_runs_is_given_up(tmp_path):
    file = hostile.hidden_endless_loop(tmp_path / "model.onnx")
    began, busy = time.monotonic(), psutil.Process().cpu_times()
    (finding,) = inspect_file(file)
    ended = psutil.Process().cpu_times()
    assert finding.code == "resource-bomb"
    assert "while running it on a small input" in finding.what
    # Processor time of children, which a busy machine does not lengthen; on a quiet one the clock shows the same.
    assert ended.children_user + ended.children_system - busy.children_user - busy.children_system < 10
    assert time.monotonic() - began < 60
    assert not children()


def test_a_loop_that_is_endless_for_the_rows_at_hand_alone_is_given_up(tmp_path):
    file = hostile.endless_for_ones(tmp_path / "model.onnx")
    rows = {"features": np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)}
    assert admit(file, trial=Trial(rows_by_two(rows), "the rows")).ran == (0, 1)
    rows["features"][2:] = 1
    began = psutil.Process().cpu_times()
    with pytest.raises(UnsupportedModelError, match="given up: while running it on the rows, the child") as told:
        admit(file, trial=Trial(rows_by_two(rows), "the rows"))
    assert told.value.facts["finding"] == "resource-bomb"
    ended = psutil.Process().cpu_times()
    assert ended.children_user + ended.children_system - began.children_user - began.children_system < 10
    assert not children()


def test_memory_that_the_rows_at_hand_alone_ask_for_is_refused(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("ConstantOfShape", ["n"], ["zeros"])],
        [graphs.tensor("n", TensorProto.INT64, [1])],
        [graphs.tensor("zeros", FLOAT, [None])],
    )
    with pytest.raises(UnsupportedModelError, match="the rows takes more memory than allowed") as told:
        admit(file, trial=Trial([{"n": np.array([1 << 30])}], "the rows"))
    assert told.value.facts["finding"] == "resource-bomb"


def test_inputs_that_a_file_does_not_take_are_no_reason_to_keep_it_away(tmp_path):
    file = hostile.sound(tmp_path / "model.onnx")
    wrong = [{"features": np.ones((2, 4))}, {"other": np.array([["a", "\u00e9\0"]], dtype=object)}]
    right = {"features": np.ones((2, 4), np.float32)}
    assert admit(file, trial=Trial([*wrong, right, right, right], "the rows", enough=2)).ran == (2, 3)
    assert admit(file, trial=Trial([{"features": np.array(["2026-11-25"], "M8[D]")}, right], "the rows")).ran == ()


def test_rows_are_cut_where_they_can_be_told_apart():
    rows = np.arange(7)
    assert [part["x"].tolist() for part in rows_by_two({"x": rows})] == [[0, 1], [2, 3], [4, 5, 6]]
    assert [part["x"].tolist() for part in rows_by_two({"x": rows[:1]})] == [[0]]
    assert [part["x"].tolist() for part in rows_by_two({"x": rows[:3]})] == [[0, 1, 2]]
    assert [len(part["x"]) for part in rows_by_two({"x": rows, "y": rows[:4]})] == [7]


def test_export_tries_every_length_in_a_child_before_it_runs_one_itself(tmp_path):
    file = hostile.endless_for_one_row(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match="given up: while running it on made-up inputs"):
        export_file(file, tmp_path / "exported", opset=21)


def test_many_files_share_a_child_and_one_that_breaks_it_is_told_from_the_others(tmp_path):
    files = [
        hostile.sound(tmp_path / "a.onnx"),
        hostile.hidden_endless_loop(tmp_path / "b.onnx"),
        hostile.cut_short(tmp_path / "c.onnx"),
        hostile.sound(tmp_path / "d.onnx"),
    ]
    first, second, third, fourth = look_at(files)
    assert isinstance(first, Admitted)
    assert first == fourth
    assert [(refusal.code, "given up" in refusal.what) for refusal in second] == [("resource-bomb", True)]
    assert [refusal.code for refusal in third] == ["corrupt-file"]


def test_a_digest_pins_a_file_and_its_data(tmp_path):
    file = hostile.sound(tmp_path / "model.onnx")
    assert one(file, "unpinned").what.endswith(f"{file_digest(file)}.")
    assert "unpinned" not in {finding.code for finding in inspect_file(file, sha256=file_digest(file))}
    assert one(file, "digest-differs", sha256="0" * 64).severity is Severity.BLOCKED
    beside, _ = graphs.linear(tmp_path / "two" / "model.onnx", external=True)
    pinned = admit(beside)
    assert pinned.data_files == ("model.onnx.data",)
    data = beside.with_name("model.onnx.data")
    content = bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(bytes(content))
    with pytest.raises(ArtifactCorruptError, match="sha256"):
        admit(beside, sha256=pinned.digest)


def test_what_is_no_plain_file_is_not_opened(tmp_path):
    with pytest.raises(NotFoundError):
        inspect_file(tmp_path / "nowhere.onnx")
    with pytest.raises(InvalidRequestError):
        inspect_file(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(UnsupportedModelError, match="SavedModel"):
        inspect_file(tmp_path)
    with pytest.raises(InvalidRequestError, match=r"1\.99x"):
        inspect_file(hostile.sound(tmp_path / "model.onnx"), ceiling="1.99x")


# --- what works, and is worth knowing


def test_a_sound_model_has_nothing(tmp_path):
    assert codes(hostile.sound(tmp_path / "model.onnx")) == set()
    assert codes(graphs.linear(tmp_path / "two" / "model.onnx", external=True)[0]) == set()


def test_releases_and_ceilings(tmp_path):
    file = hostile.sound(tmp_path / "model.onnx")
    assert "ONNX Runtime 1.18 and later" in one(file, "release-needed").what
    assert codes(file, ceiling="1.18") == set()
    format_only = one(file, "above-ceiling", ceiling="1.17")
    assert "IR version 9" in format_only.what
    assert format_only.fix == "above-ceiling"
    assert one(file, "above-ceiling", ceiling="1.15").fix == ""


def test_operators_of_one_runtime(tmp_path):
    node = helper.make_node("FastGelu", ["features"], ["scores"], domain="com.microsoft")
    file = hostile.unary(tmp_path / "model.onnx", [node])
    changed(file, lambda model: model.opset_import.append(helper.make_opsetid("com.microsoft", 1)))
    assert "com.microsoft (FastGelu): only ONNX Runtime" in one(file, "runtime-bound").what


def test_a_kernel_that_the_processor_has_not(tmp_path):
    kind = TensorProto.BFLOAT16
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Mul", ["a", "a"], ["b"])],
        [graphs.tensor("a", kind, ["batch", 4])],
        [graphs.tensor("b", kind, ["batch", 4])],
    )
    assert "no CPU kernel for Mul" in one(file, "missing-kernel").what


def test_levels_of_optimization_that_differ(tmp_path):
    """Conv and Mul are fused at the first level: 1e30 x 1e30 is infinite then, and was not before."""
    file = graphs.write(
        tmp_path / "model.onnx",
        [
            helper.make_node("Mul", ["x", "small"], ["a"]),
            helper.make_node("Conv", ["a", "kernel"], ["b"]),
            helper.make_node("Mul", ["b", "large"], ["c"]),
            helper.make_node("Mul", ["c", "small"], ["y"]),
        ],
        [graphs.tensor("x", FLOAT, ["batch", 3, 4, 4])],
        [graphs.tensor("y", FLOAT, ["batch", 3, 4, 4])],
        weights={
            "small": np.float32([1e-30]),
            "large": np.full((3, 1, 1), 1e30, np.float32),
            "kernel": np.full((3, 3, 1, 1), 1e30, np.float32),
        },
    )
    found = one(file, "optimization-differs")
    assert "level 'basic'" in found.what
    assert found.node == "y"


def noted(model):
    """Notes as our own export leaves them, on every node."""
    for node in model.graph.node:
        node.metadata_props.add(key="onnxyard.module", value="body.head")
        node.metadata_props.add(key="onnxyard.source", value="net.py:12")


def wasteful(path):
    random = np.random.default_rng(3)
    same = random.normal(size=(64, 64)).astype(np.float32)
    spoiled = random.normal(size=(64, 4)).astype(np.float32)
    spoiled[3, 2] = np.nan
    return changed(
        hostile.unary(
            path,
            [
                helper.make_node("MatMul", ["features", "wide"], ["a"]),
                helper.make_node("MatMul", ["a", "first"], ["b"]),
                helper.make_node("MatMul", ["b", "second"], ["c"]),
                helper.make_node("Add", ["c", "row"], ["d"]),
                helper.make_node("ReduceMean", ["d"], ["nobody"], keepdims=0),
                helper.make_node("ReduceSum", ["d", "axis"], ["e"], keepdims=1),
                helper.make_node("MatMul", ["e", "spoiled"], ["scores"]),
            ],
            weights={
                "wide": random.normal(size=(4, 64)).astype(np.float32),
                "first": same,
                "second": same.copy(),
                "row": np.repeat(random.normal(size=(1, 1, 64)).astype(np.float32), 400, axis=0),
                "axis": np.array([0]),
                "spoiled": spoiled,
                "unused": random.normal(size=(500,)).astype(np.float32),
            },
            outputs=[graphs.tensor("scores", FLOAT, [None, "batch", 4])],
        ),
        noted,
    )


def test_weights_and_nodes_for_nobody(tmp_path):
    found = {finding.code: finding for finding in inspect_file(wasteful(tmp_path / "model.onnx"))}
    said = {
        "dead-weights": "(2.0 KiB) used by nothing: unused",
        "dead-nodes": "ReduceMean 'nobody'",
        "duplicate-weights": "16.0 KiB too many: first, second",
        "oversize-constant": "shape [400, 1, 64] repeats its [1, 1, 64]",
        "nonfinite-weights": "1 NaN among 256",
    }
    assert found.keys() - ALWAYS == said.keys()
    assert [code for code, text in said.items() if text not in found[code].what] == []
    spoiled = found["nonfinite-weights"]
    assert (spoiled.module, spoiled.source) == ("body.head", "net.py:12")


def test_a_mask_of_infinities_is_no_fault(tmp_path):
    file = hostile.unary(
        tmp_path / "model.onnx",
        [helper.make_node("Add", ["features", "mask"], ["scores"])],
        weights={"mask": np.float32([0, -np.inf, 0, -np.inf])},
    )
    assert codes(file) == set()


def test_training_and_randomness(tmp_path):
    dropout = helper.make_node("Dropout", ["features", "ratio", "training"], ["a"], name="drop")
    noise = helper.make_node("RandomNormalLike", ["a"], ["b"], name="noise")
    seeded = helper.make_node("RandomNormalLike", ["a"], ["c"], seed=3.0, name="seeded")
    file = hostile.unary(
        tmp_path / "model.onnx",
        [dropout, noise, seeded, helper.make_node("Sum", ["a", "b", "c"], ["scores"])],
        weights={"ratio": np.float32(0.5), "training": np.array(True)},
    )
    assert codes(file) == {"training-mode", "unseeded-randomness"}
    assert "'drop'" in one(file, "training-mode").what
    assert "'noise'" in one(file, "unseeded-randomness").what


def test_rows_that_depend_on_their_batch(tmp_path):
    file = hostile.unary(
        tmp_path / "model.onnx",
        [
            helper.make_node("ReduceMean", ["features", "rows"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["features", "mean"], ["scores"]),
        ],
        weights={"rows": np.array([0])},
    )
    assert one(file, "batch-dependent").node == "scores"


def test_what_it_takes_and_gives(tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [
            helper.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", classlabels_strings=["a", "b"]),
            helper.make_node("SequenceConstruct", ["q", "q"], ["sequence"]),
        ],
        [graphs.tensor("p", FLOAT, [3, 2]), graphs.tensor("q", FLOAT, ["batch", None])],
        [
            helper.make_value_info("maps", helper.make_sequence_type_proto(map_type())),
            helper.make_tensor_sequence_value_info("sequence", FLOAT, None),
        ],
    )
    changed(file, lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 4)))
    found = {finding.node: finding for finding in inspect_file(file) if finding.code == "unsupported-output"}
    assert "ZipMap" in found["maps"].what
    assert found["maps"].fix
    assert not found["sequence"].fix
    assert one(file, "fixed-batch").what == "The first axis of 'p' is 3."
    assert one(file, "unnamed-axis").what == "Free axes without a name: 'q' (axis 1)."


def map_type():
    return helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))


def test_torchs_own_notes_name_module_and_line(tmp_path):
    def note(model):
        node = model.graph.node[0]
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'encoder.norm', 'add_3']")
        node.metadata_props.add(
            key="pkg.torch.onnx.stack_trace",
            value='File "/home/me/net.py", line 41, in forward\n  x\nFile "/x/site-packages/torch/f.py", line 2, in g',
        )
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((4, 3), np.nan, np.float32), "weights"))

    found = one(changed(hostile.sound(tmp_path / "model.onnx"), note), "nonfinite-weights")
    assert (found.module, found.source) == ("encoder.norm", "/home/me/net.py:41")
