import numpy as np
import pytest

from onnxyard.errors import UserCodeError
from onnxyard.project.functions import Kinds
from onnxyard.project.project import load_project

HEAD = """\
import numpy as np
from onnxyard.project.data import Split, Splits

X = np.arange(40, dtype=np.float32).reshape(20, 2)
Y = np.arange(20) % 2
"""


def functions(write, body):
    return load_project(write(code=HEAD + body)).functions()


def data(body):
    return f"def data(config):\n    {body}\n"


def test_data_is_completed_and_the_same_every_time(write):
    made = functions(write, data("return Splits(train=Split({'x': X + np.random.rand()}, Y))"))
    first, second = ({name: split.inputs["x"].tolist() for name, split in made.data()} for _ in range(2))
    assert first == second
    assert len(first) == 4


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("", "no function 'data'"),
        (data("return X"), "data returned a ndarray, not onnxyard.project.data.Splits"),
        (data("raise KeyError('radius')"), "data raised: KeyError: 'radius'"),
        (data("return Splits(train=Split({'x': X[:0]}, Y[:0]))"), "The train split is empty"),
        (data("return Splits(train=Split({'x': X[:1]}, Y[:1]))"), "too few"),
        (data("return Splits(train=Split({'x': X}, Y), test=Split({'x': X[:0]}, Y[:0]))"), "The test split is empty"),
        (data("X[3, 1] = np.nan; return Splits(train=Split({'x': X}, Y))"), "NaN or infinity in 1 of"),
        (data("X[3, 1] = np.inf; return Splits(train=Split({'x': X}, Y))"), "NaN or infinity in 1 of"),
        (data("return Splits(train=Split({'x': X}, Y[1:]))"), "differ in rows: x 20, targets 19"),
        (data("return Splits(train=Split({'x': X}, Y), test=Split({'x': X[:, :1]}, Y))"), "x FLOAT[rows, 1] instead"),
        (data("return Splits(train=Split({'x': X}, Y), test=Split({'z': X}, Y))"), "z FLOAT[rows, 2] instead of x"),
        (data("return Splits(train=Split({'x': X}, Y), test=Split({'x': X.astype(int)}, Y))"), "x INT64"),
        (data("return Splits(train=Split({'x': X.astype('datetime64[s]')}, Y))"), "cannot go into an ONNX model"),
        (data("return Splits(train=Split({'x': X.astype(object)}, Y))"), "no text in"),
        (data("return Splits(train=[({'x': X}, Y), (X, Y)])"), "must be arrays by name"),
    ],
)
def test_data_that_cannot_be_used_is_one_clear_message(write, body, detail):
    with pytest.raises(UserCodeError) as caught:
        functions(write, body).data()
    assert detail in caught.value.detail


def test_what_a_function_raises_names_the_users_own_line(write):
    with pytest.raises(UserCodeError) as caught:
        functions(write, data("return np.concatenate([X, Y])")).data()
    assert caught.value.where == "toy.py:7 in data"
    assert "ValueError" in caught.value.facts["traceback"]


@pytest.mark.parametrize(
    ("result", "detail"),
    [
        ("3", "metrics returned a int, not a dict of numbers by name"),
        ("{}", "metrics returned a dict"),
        ("{'a': 'b'}", "metrics returned a str, not a number for 'a'"),
        ("{'a': float('nan')}", "metrics returned nan for 'a'"),
        ("{'a': 1 / 0}", "metrics raised: ZeroDivisionError"),
    ],
)
def test_metrics_that_are_no_numbers_are_refused(write, result, detail):
    made = functions(write, f"def metrics(targets, outputs):\n    return {result}\n")
    with pytest.raises(UserCodeError) as caught:
        made.metrics(np.zeros(1), {})
    assert detail in caught.value.detail
    assert "toy.py:" in caught.value.where


def test_metrics_may_be_numpy_numbers(write):
    made = functions(
        write, "def metrics(targets, outputs):\n    return {'a': np.float32(0.5), 'b': np.mean(targets)}\n"
    )
    assert made.metrics(np.ones(2), {}) == {"a": 0.5, "b": 1.0}


@pytest.mark.parametrize("name", ["model", "train"])
def test_a_wrong_return_type_is_named(write, name):
    made = functions(write, "def model(config):\n    return 3\n\ndef train(splits, config, report):\n    return 3\n")
    gives = Kinds((dict, list), "a dict or a list")
    with pytest.raises(UserCodeError, match=rf"{name} returned a int, not a dict or a list"):
        made.model(gives=gives) if name == "model" else made.train(made, print, gives=gives)
    assert (made.model() if name == "model" else made.train(made, print)) == 3
