"""The runtimes' contract, for those that read what a compiler made: the same promises as in `test_runtimes`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper

import compiled_graphs
import graphs
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, MissingExtraError, UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.ports.runtime import Runtime
from onnxyard.runtimes.compiled_form import COMPANION, CompiledForm
from onnxyard.runtimes.iree import Iree
from onnxyard.runtimes.nnef import Nnef
from onnxyard.runtimes.processor import Processor
from onnxyard.stages.optimize.passes.iree_compile import IreeCompile
from onnxyard.stages.optimize.passes.nnef_convert import NnefConvert
from onnxyard.stages.optimize.passes.transformation import Pass

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.ports.runtime import LoadedModel


@dataclass(frozen=True)
class Subject:
    name: str
    provider: str
    runtime: Runtime
    compiler: Pass

    def compile(self, source: Path, folder: Path, **batch: np.ndarray) -> Path:
        folder.mkdir()
        return self.compiler(source, folder, compiled_graphs.materials(batch)).file

    def load(self, file: Path, *, threads: int = 1) -> LoadedModel:
        return self.runtime.load(file, provider=self.provider, threads=threads)


SUBJECTS = {
    "iree": Subject("iree", "llvm-cpu", Iree(), IreeCompile()),
    "nnef": Subject("nnef", "interpreter", Nnef(), NnefConvert()),
}


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request):
    return SUBJECTS[request.param]


@pytest.fixture(scope="module")
def compiled(subject, tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    file, weights = graphs.linear(folder / "model.onnx", external=True)
    assert (folder / "model.onnx.data").stat().st_size >= weights.nbytes
    return subject.compile(file, folder / "compiled", features=rows(5)), weights


@pytest.fixture
def linear(subject, compiled):
    file, weights = compiled
    return subject.load(file), weights


@pytest.fixture
def copy(compiled, tmp_path):
    """The compiled model, to be spoilt."""
    file, _ = compiled
    return copied(file, tmp_path)


def copied(file: Path, folder: Path) -> Path:
    for each in file.parent.iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    return folder / file.name


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 4)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 33])
def test_answers_any_batch_length(linear, count):
    model, weights = linear
    answer = model.run({"features": rows(count)})
    assert list(answer) == ["scores"]
    assert answer["scores"].dtype == np.float32
    np.testing.assert_allclose(answer["scores"], rows(count) @ weights, atol=1e-5)


def test_says_what_it_takes_and_what_runs_it(linear, subject):
    model, _ = linear
    assert model.signature == Signature(
        (TensorSpec("features", "FLOAT", ("batch", 4)),), (TensorSpec("scores", "FLOAT", ("batch", 3)),)
    )
    assert model.provider == subject.provider
    name, version = model.runtime.split()
    assert name == subject.name
    assert version[0].isdigit()


def test_tells_what_executed_its_nodes(compiled, subject):
    file, _ = compiled
    placed = subject.runtime.placement(file, provider=subject.provider, threads=1, inputs={"features": rows(2)})
    assert placed == {subject.provider: 1}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "'features' is missing"),
        ({"features": rows(2), "extra": rows(2)}, "no input 'extra'"),
        ({"features": rows(2).astype(np.float64)}, "is DOUBLE; the model takes FLOAT"),
        ({"features": rows(2)[:, :3]}, r"shape \[2, 3\]; the model takes \[batch, 4\]"),
        ({"features": rows(2)[0]}, r"shape \[4\]"),
        ({"features": np.array([["a"] * 4])}, "is STRING; the model takes FLOAT"),
    ],
)
def test_refuses_wrong_inputs_in_words(linear, inputs, said):
    model, _ = linear
    with pytest.raises(InvalidRequestError, match=said):
        model.run(inputs)


def test_takes_arrays_that_are_not_contiguous_or_not_writable(linear):
    model, weights = linear
    wide = np.repeat(rows(3), 2, axis=1)[:, ::2]
    frozen = np.asfortranarray(rows(3))
    frozen.flags.writeable = False
    for array in (wide, frozen):
        np.testing.assert_allclose(model.run({"features": array})["scores"], array @ weights, atol=1e-5)


def test_an_answer_stays_as_it_was_when_the_next_one_is_made(linear):
    model, weights = linear
    first = model.run({"features": rows(4)})["scores"]
    model.run({"features": np.zeros((4, 4), np.float32)})
    np.testing.assert_allclose(first, rows(4) @ weights, atol=1e-5)
    first += 1  # it is the caller's own
    np.testing.assert_allclose(model.run({"features": rows(4)})["scores"], rows(4) @ weights, atol=1e-5)


def test_many_threads_may_run_it_at_once(linear):
    model, weights = linear
    together = threading.Barrier(8)

    def ask(seed: int) -> bool:
        together.wait()
        sent = [np.random.default_rng(seed + i).normal(size=(1 + seed % 5, 4)).astype(np.float32) for i in range(50)]
        return all(np.allclose(model.run({"features": x})["scores"], x @ weights, atol=1e-5) for x in sent)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))


def test_axes_of_one_name_have_one_length(subject, tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Add", ["left", "right"], ["sum"])],
        [
            graphs.tensor("left", TensorProto.FLOAT, ["batch", 2]),
            graphs.tensor("right", TensorProto.FLOAT, ["batch", 2]),
        ],
        [graphs.tensor("sum", TensorProto.FLOAT, ["batch", 2])],
    )
    ones = np.ones((3, 2), np.float32)
    model = subject.load(subject.compile(file, tmp_path / "compiled", left=ones, right=ones))
    np.testing.assert_array_equal(model.run({"left": ones, "right": ones})["sum"], 2 * ones)
    with pytest.raises(InvalidRequestError, match="'batch' has length 3 in 'left' and 1 in 'right'"):
        model.run({"left": ones, "right": ones[:1]})


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_file_that_is_no_model_is_corrupt(subject, copy, content):
    copy.write_bytes(copy.read_bytes()[:-20] if content is None else content)
    with pytest.raises(ArtifactCorruptError):
        subject.load(copy)


def test_a_file_of_the_right_size_and_the_wrong_content_is_corrupt(subject, copy):
    copy.write_bytes(b"\x01" * copy.stat().st_size)
    with pytest.raises(ArtifactCorruptError, match="not a"):
        subject.load(copy)


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"tool": 1}'])
def test_a_model_without_its_companion_is_corrupt(subject, copy, content):
    companion = copy.with_name(COMPANION)
    companion.unlink() if content is None else companion.write_bytes(content)
    with pytest.raises(ArtifactCorruptError, match=r"part of the compiled model|describe a compiled model"):
        subject.load(copy)


def test_a_missing_file_is_corrupt(subject, copy):
    copy.unlink()
    with pytest.raises(ArtifactCorruptError):
        subject.load(copy)


def test_an_onnx_file_is_refused_with_the_recipe_that_is_missing(subject, tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match=f"not read ONNX.*recipe '{subject.name}'"):
        subject.load(file)


def test_an_unknown_operator_is_named(subject, tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Frobnicate", ["features"], ["scores"])],
        [graphs.tensor("features", TensorProto.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", TensorProto.FLOAT, ["batch", 4])],
    )
    with pytest.raises(UnsupportedModelError, match="Frobnicate"):
        subject.compile(file, tmp_path / "compiled", features=rows(2))


@pytest.mark.parametrize("provider", ["CPUExecutionProvider", "CPU", "cuda", ""])
def test_only_verified_providers_are_opened(subject, compiled, provider):
    with pytest.raises(UnsupportedModelError, match="not verified"):
        subject.runtime.load(compiled[0], provider=provider, threads=1)


def test_there_are_no_options(subject, compiled):
    assert not subject.runtime.options
    with pytest.raises(InvalidRequestError, match="no option 'speed'"):
        subject.runtime.load(compiled[0], provider=subject.provider, threads=1, options={"speed": "high"})


def test_says_nothing_on_the_terminal(subject, tmp_path, capfd):
    file, _ = graphs.linear(tmp_path / "model.onnx")
    subject.load(subject.compile(file, tmp_path / "compiled", features=rows(2)), threads=1).run({"features": rows(1)})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "packages"), [("iree", ["iree", "iree.runtime"]), ("nnef", ["nnef_tools.interpreter"])]
)
def test_a_runtime_that_is_not_installed_names_the_extra(name, packages, tmp_path, monkeypatch):
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"onnxyard\[{name}\]"):
        SUBJECTS[name].load(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "dtypes"),
    [
        ("iree", ["int64", "int32", "int16", "int8", "uint8", "uint32", "bool", "float16", "float32", "float64"]),
        ("nnef", ["int64", "int32", "bool", "float32"]),
    ],
)
def test_keeps_dtypes(name, dtypes, tmp_path):
    protos = {dtype: helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for dtype in dtypes}
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Concat", [f"in_{each}", f"in_{each}"], [f"out_{each}"], axis=1) for each in dtypes],
        [graphs.tensor(f"in_{each}", proto, ["batch", 2]) for each, proto in protos.items()],
        [graphs.tensor(f"out_{each}", proto, ["batch", 4]) for each, proto in protos.items()],
    )
    given = {f"in_{each}": np.array([[0, 1], [1, 0]]).astype(each) for each in dtypes}
    subject = SUBJECTS[name]
    answer = subject.load(subject.compile(file, tmp_path / "compiled", **given)).run(given)
    for each in dtypes:
        assert answer[f"out_{each}"].dtype == each
        np.testing.assert_array_equal(answer[f"out_{each}"], np.concatenate([given[f"in_{each}"]] * 2, axis=1))


@pytest.mark.parametrize(("name", "dtype"), [("iree", "BFLOAT16"), ("iree", "STRING"), ("nnef", "DOUBLE")])
def test_a_dtype_that_the_runtime_lacks_is_refused_before_compiling(name, dtype, tmp_path):
    file = graphs.write(
        tmp_path / "model.onnx",
        [helper.make_node("Identity", ["values"], ["same"])],
        [graphs.tensor("values", TensorProto.DataType.Value(dtype), ["batch"])],
        [graphs.tensor("same", TensorProto.DataType.Value(dtype), ["batch"])],
    )
    with pytest.raises(UnsupportedModelError, match=f"{dtype}.*'values'"):
        SUBJECTS[name].compile(file, tmp_path / "compiled")


# What only one of them can get wrong.


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    file = graphs.write(
        folder / "model.onnx",
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        [graphs.tensor("ids", TensorProto.INT64, ["batch"])],
        [graphs.tensor("rows", TensorProto.FLOAT, ["batch", 2])],
        weights={"table": np.arange(20, dtype=np.float32).reshape(10, 2)},
    )
    return SUBJECTS["iree"].compile(file, folder / "compiled")


@pytest.fixture
def module(table, tmp_path):
    """A module of IREE's, to be spoilt."""
    return copied(table, tmp_path)


def test_iree_refuses_an_index_outside_of_its_table(module):
    model = SUBJECTS["iree"].load(module)
    assert model.run({"ids": np.array([0, 9, -1, -10])})["rows"][:, 0].tolist() == [0, 18, 18, 0]
    for wrong in (10, -11, 10**12):  # compiled code would read whatever lies there, or crash the process
        with pytest.raises(InvalidRequestError, match=f"'ids' holds {wrong}; the model takes values from -10 to 9"):
            model.run({"ids": np.array([3, wrong])})


def test_iree_refuses_code_for_another_processor_or_version(module):
    iree, form = SUBJECTS["iree"], CompiledForm.read(module)
    here = Processor.here()
    assert form.processor == here
    more = replace(here, name="Another", instruction_sets=here.instruction_sets | {"avx1024"})
    foreign = replace(here, system="Plan9", machine="vax")
    for processor, said in ((more, "for Another with avx1024, which .* lacks"), (foreign, "for Plan9 vax")):
        replace(form, processor=processor).write(module)
        with pytest.raises(UnsupportedModelError, match=said):
            iree.load(module)
    replace(form, processor=replace(here, name="Less", instruction_sets=frozenset())).write(module)
    with pytest.raises(UnsupportedModelError, match="for Less"):  # nothing is known of it
        iree.load(module)
    replace(form, tool="iree 2.0.0").write(module)
    with pytest.raises(UnsupportedModelError, match=r"compiled by iree 2.0.0, and this is iree 3"):
        iree.load(module)
    form.write(module)
    iree.load(module)


def test_iree_computes_with_as_many_threads_as_asked_for_and_says_so_when_it_cannot(module):
    # The first model settles how many a process has, so that each case needs a process of its own.
    code = """
import json, os, sys, threading
from pathlib import Path
import numpy as np
from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.iree import Iree

def workers():
    tasks = Path("/proc/self/task")
    return sum((task / "comm").read_text().startswith("iree-worker") for task in tasks.iterdir())

def load(threads):
    model = Iree().load(Path(sys.argv[1]), provider="llvm-cpu", threads=threads)
    model.run({"ids": np.array([1])})
    for _ in range(1000):  # they start when the system gets to it
        if threads == 1 or workers() >= threads:
            break
        threading.Event().wait(0.01)
    return workers()

seen = [load(1), load(3), load(1), load(3)]
try:
    load(2)
except UnsupportedModelError as error:
    seen.append(str(error))
print(json.dumps(seen))
"""
    done = subprocess.run([sys.executable, "-c", code, str(module)], check=True, capture_output=True, text=True)
    *counts, said = json.loads(done.stdout)
    assert counts == [0, 3, 3, 3]
    assert "here they are 3, and 2 are asked for" in said


def test_nnef_takes_a_model_of_fixed_shapes_as_it_is(tmp_path):
    nnef = SUBJECTS["nnef"]
    file = compiled_graphs.cnn(tmp_path / "model.onnx", batch=2)
    made = nnef.compile(file, tmp_path / "compiled", **compiled_graphs.inputs("cnn", 4))
    model = nnef.load(made)
    assert model.signature.inputs[0].shape == (2, 3, 16, 16)
    with pytest.raises(InvalidRequestError, match=r"the model takes \[2, 3, 16, 16\]"):
        model.run(compiled_graphs.inputs("cnn", 1))


def test_nnef_is_not_taken_for_a_runtime_of_speed():
    assert Nnef.interpreted
