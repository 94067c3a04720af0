import io
import pickle
import random

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from onnxyard.cli.init import write_project
from onnxyard.errors import InvalidRequestError, UserCodeError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.signature import TensorSpec
from onnxyard.project.data import Split, Splits
from onnxyard.project.evaluation import predict
from onnxyard.project.fingerprint import fingerprint
from onnxyard.project.processing import load_processing
from onnxyard.project.project import load_project
from onnxyard.sources.by_name import source_of
from onnxyard.tensors.files import read_tensors

TRAIN = """

def train(splits, config, report):
    fitted = model(config)
    optimizer = torch.optim.SGD(fitted.parameters(), lr=1.0)
    for step in range(3):
        rows = torch.randperm(len(splits.train))
        logits = fitted(torch.from_numpy(splits.train.inputs["x"])[rows])
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(splits.train.targets)[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report(step, {"loss": loss.item()})
    return fitted
"""


SHORT = """\
[project]
name = "toy"
module = "toy.py"
outputs = ["y"]
[gates.quality]
score = 0.0
"""


def state_dict(**changes):
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(2, 2), "bias": torch.zeros(2), **changes}, buffer)
    return buffer.getvalue()


def refused(develop, root, report=None):
    with pytest.raises(UserCodeError) as caught:
        develop(root, report)
    return caught.value


@pytest.mark.parametrize(("template", "best"), [("digits", 0.97), ("tabular", 0.95)])
def test_a_template_learns_and_repeats_itself_to_the_byte(tmp_path, develop, template, best):
    root = tmp_path / template
    write_project(root, template)
    reported = []
    first, workspace = develop(root, lambda step, metrics: reported.append((step, dict(metrics))))
    second, _ = develop(root)
    assert first == second
    assert [(epoch.step, epoch.metrics) for epoch in first.history] == reported
    project = load_project(root)
    assert len(reported) == project.config["epochs"]
    assert list(root.rglob("__pycache__")) == []

    functions, processing = project.functions(), load_processing(workspace / "processing")
    source = source_of(project).load(project, workspace / "fitted")
    targets, outputs = predict(functions.data().test, processing, source.run)
    accuracy = functions.metrics(targets, outputs)["accuracy"]
    assert accuracy > best

    # What the test split can prove: Wilson's lower bound, 95 % one-sided, stays clear of the declared threshold.
    rows, z = len(targets), 1.645
    spread = z * np.sqrt(accuracy * (1 - accuracy) / rows + z**2 / (4 * rows**2))
    bound = (accuracy + z**2 / (2 * rows) - spread) / (1 + z**2 / rows)
    assert bound > project.file.gates.quality["accuracy"] + 0.01


def test_the_golden_set_holds_every_class_and_every_step(tmp_path, develop):
    root = tmp_path / "digits"
    write_project(root, "digits")
    result, workspace = develop(root)
    golden = {name: read_tensors(workspace / "golden_set" / name) for name in ("raw", "inputs", "outputs", "answers")}
    assert golden["raw"]["image"].shape == (32, 8, 8)
    assert golden["raw"]["image"].dtype == np.uint8
    processing = load_processing(workspace / "processing")
    np.testing.assert_array_equal(processing.before(golden["raw"])["pixels"], golden["inputs"]["pixels"])
    np.testing.assert_array_equal(processing.after(golden["outputs"])["label"], golden["answers"]["label"])
    assert set(golden["answers"]["label"].tolist()) == set(range(10))
    assert result.signature.inputs == (TensorSpec("image", "UINT8", ("batch", 8, 8)),)
    assert result.signature.outputs == (
        TensorSpec("label", "INT64", ("batch",)),
        TensorSpec("probabilities", "FLOAT", ("batch", 10)),
    )
    assert Artifact.of_folder(workspace / "fitted") == result.fitted
    assert [file.path for file in result.fitted.files] == ["weights.safetensors"]


def test_the_process_is_left_as_it_was(write, develop):
    threads = torch.get_num_threads()
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()  # noqa: NPY002 - the state that is watched
    develop(write(TRAIN))
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()) == states  # noqa: NPY002 - as above
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_model_and_other_data_another_fingerprint(write, develop):
    root = write(TRAIN)
    first, _ = develop(root)
    file = (root / "onnxyard.toml").read_text()
    (root / "onnxyard.toml").write_text(file.replace("seed = 3", "seed = 4"))
    second, _ = develop(root)
    assert first.fitted != second.fitted
    write(TRAIN + "\nX[7, 0] += 1\n")
    third, _ = develop(root)
    assert second.data_fingerprint != third.data_fingerprint


STREAM = """

class Stream:
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        for start in range(0, len(X), self.size):
            yield {"x": X[start:start + self.size]}, Y[start:start + self.size]


def data(config):
    return Splits(train=Stream(config.get("size", 7)))


def train(splits, config, report):
    fitted = model(config)
    for inputs, targets in splits.train.batches(16):
        assert len(inputs["x"]) == len(targets) <= 16
    return fitted
"""


def test_a_stream_gives_the_same_fingerprint_and_golden_set_as_arrays_whatever_its_batches(write, develop):
    arrays, _ = develop(write())
    root = write(STREAM)
    streamed, _ = develop(root)
    file = (root / "onnxyard.toml").read_text()
    (root / "onnxyard.toml").write_text(file + "[develop.config]\nsize = 33\n")
    other, _ = develop(root)
    assert arrays.data_fingerprint == streamed.data_fingerprint == other.data_fingerprint
    assert arrays.golden_set == streamed.golden_set == other.golden_set
    assert arrays.rows == streamed.rows == other.rows


def test_nan_deep_in_a_stream_is_found(write, develop):
    error = refused(develop, write(STREAM + "\nX[150, 1] = np.nan\n"))
    assert "NaN or infinity" in error.detail


def test_without_train_the_finished_module_is_taken(write, develop):
    body = "\n\ndef model(config):\n    made = Named(2, 2)\n    nn.init.eye_(made.weight)\n    return made\n"
    result, workspace = develop(write(body))
    golden = read_tensors(workspace / "golden_set" / "inputs")["x"]
    assert golden.shape == (8, 2)
    assert result.history == ()


def checkpoint_file(name):
    return f'{SHORT}[develop]\ncheckpoint = "{name}"\ngolden_rows = 8\n'


def test_a_checkpoint_is_taken_instead_of_training(write, develop):
    from safetensors.torch import save  # noqa: PLC0415 - beside its use

    root = write(TRAIN, file=checkpoint_file("w.pt"), w_pt=state_dict())
    first, workspace = develop(root)
    golden = {name: read_tensors(workspace / "golden_set" / name) for name in ("inputs", "outputs")}
    np.testing.assert_allclose(golden["outputs"]["y"][:, 0], golden["inputs"]["x"].sum(axis=1), rtol=1e-6)
    tensors = save({"weight": torch.ones(2, 2), "bias": torch.zeros(2)})
    second, _ = develop(write(TRAIN, file=checkpoint_file("w.safetensors"), w_safetensors=tensors))
    assert first.fitted == second.fitted


class Trap:
    def __reduce__(self):
        return print, ("a pickle ran",)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (state_dict(bias=torch.zeros(3)), "do not fit model(config)"),
        (state_dict(more=torch.zeros(3)), "do not fit model(config)"),
        (state_dict(bias=torch.full((2,), torch.nan)), "The checkpoint's weight 'bias' holds NaN"),
        (state_dict(bias=3), "no state dict"),
        (pickle.dumps(Trap(), protocol=2), "no plain state dict"),
        (state_dict(bias=Trap()), "no plain state dict: it holds an object of print."),
        (b"", "no plain state dict"),
        (b"PK noise", "no plain state dict: it is another kind of file, or a damaged one."),
        (state_dict()[:-40], "no plain state dict"),
    ],
)
def test_a_checkpoint_that_is_no_state_dict_is_refused_and_never_run(write, develop, capfd, content, detail):
    error = refused(develop, write(file=checkpoint_file("w.pt"), w_pt=content))
    assert detail in error.detail
    assert error.where == "w.pt"
    assert "a pickle ran" not in capfd.readouterr().out


def test_a_finished_onnx_file_is_taken_as_it_is(write, develop):
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "neg",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    file = (
        '[project]\nname = "toy"\nmodule = "toy.py"\noutputs = ["y"]\nonnx = "neg.onnx"\n[gates.quality]\nscore = 0.0\n'
    )
    result, workspace = develop(write(file=file, neg_onnx=model.SerializeToString()))
    golden = {name: read_tensors(workspace / "golden_set" / name) for name in ("inputs", "outputs")}
    np.testing.assert_array_equal(golden["outputs"]["y"], -golden["inputs"]["x"])
    assert result.framework.startswith("onnx 1.")
    assert [file.path for file in result.fitted.files] == ["model.onnx"]


def train(*lines):
    return "\n\ndef train(splits, config, report):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("body", "detail", "where"),
    [
        (train("raise ValueError('boom')"), "train raised: ValueError: boom", "in train"),
        (train("return 3"), "train returned a int, not a torch.nn.Module", "toy.py:"),
        (train("return nn.Linear(2, 3)"), "do not fit model(config)", ""),
        (train("report(0, {'loss': float('nan')})"), "train reported nan for 'loss' at step 0", "in train"),
        (train("made = model(config)", "made.weight.data[0, 0] = torch.inf", "return made"), "'weight' holds NaN", ""),
        (
            train("return nn.Linear(2, 2)") + "\n\ndef model(config):\n    return 'x'\n",
            "model returned a str",
            "toy.py:",
        ),
        ("\n\nmodel = None\n", "no function 'model'", "toy.py"),
        (
            train("class M(nn.Module):", "    def get_extra_state(self): return 3", "return M()"),
            "only tensors can be stored",
            "",
        ),
    ],
)
def test_training_that_goes_wrong_is_one_clear_message(write, develop, body, detail, where):
    error = refused(develop, write(body))
    assert detail in error.detail
    assert where in error.where


def test_tied_weights_are_stored(write, develop):
    body = """

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(2, 2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(x))


def model(config):
    return Tied()
"""
    result, _ = develop(write(body))
    assert result.rows["train"] > 0


def test_training_never_sees_the_test_split(write, develop):
    error = refused(develop, write(train("splits.test")))
    assert error.detail == "There is no test split here."
    assert error.where.endswith("in train")


def test_an_operation_without_a_repeatable_form_says_what_to_set(write, develop):
    body = train("torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))", "return model(config)")
    error = refused(develop, write(body))
    assert "deterministic = false" in error.remedy
    root = write(body)
    file = (root / "onnxyard.toml").read_text()
    (root / "onnxyard.toml").write_text(file.replace("seed = 3", "seed = 3\ndeterministic = false"))
    develop(root)


def test_names_in_the_project_file_are_checked_against_the_model(write, develop):
    root = write()
    file = (root / "onnxyard.toml").read_text()
    (root / "onnxyard.toml").write_text(file.replace("[develop]", '[project.columns]\nx = ["a"]\n[develop]'))
    with pytest.raises(InvalidRequestError, match="gives 1 names to 'x', which has 2 features"):
        develop(root)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("[[1], [2, 3]]", "[[1, 2], [3]]"),
        ("['a', 'bc']", "['ab', 'c']"),
        ("[{'b': 1}, None]", "[{'b': 2}, None]"),
        ("np.zeros((2, 2))", "np.zeros((2, 4), np.float32)"),
    ],
)
def test_different_targets_have_different_fingerprints(left, right):
    def of(text):
        split = Split({"x": np.zeros((2, 1))}, eval(text))  # noqa: S307 - our own text above
        return fingerprint(Splits(split, split, split, split))[0]

    assert of(left) == of(left)
    assert of(left) != of(right)


def test_targets_without_content_are_refused():
    split = Split({"x": np.zeros((1, 1))}, [object()])
    with pytest.raises(UserCodeError, match="Targets hold a object"):
        fingerprint(Splits(split, split, split, split))
