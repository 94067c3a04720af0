import numpy as np
import pytest

from onnxyard.errors import ArtifactCorruptError, UserCodeError
from onnxyard.project.processing import load_processing


def processing(tmp_path, text):
    (tmp_path / "processing.py").write_text(text)
    return load_processing(tmp_path)


def test_without_a_folder_nothing_changes():
    identity = load_processing(None)
    tensors = {"x": np.zeros(3)}
    assert identity.before(tensors) == tensors == identity.after(tensors)
    assert identity.digest is None


def test_each_function_is_optional_and_applied(tmp_path):
    made = processing(tmp_path, "def preprocess(raw):\n    return {'y': raw['x'] * 2}\n")
    assert made.before({"x": np.ones(2)})["y"].tolist() == [2, 2]
    assert made.after({"x": np.ones(2)})["x"].tolist() == [1, 1]
    assert len(made.digest) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["processing.py"]


@pytest.mark.parametrize(
    ("text", "detail", "where"),
    [
        ("import numpy\nimport torch.nn\n", "imports torch.nn", "processing.py:2"),
        ("def preprocess(raw):\n    from PIL import Image\n", "imports PIL", "processing.py:2"),
        ("from . import layers\n", "imports .", "processing.py:1"),
        ("def f(:\n", "no Python", "processing.py:1"),
        ("x = 1 / 0\n", "ZeroDivisionError", "processing.py:1 in <module>"),
        ("x = 1\n", "neither preprocess nor postprocess", "processing.py"),
    ],
)
def test_a_file_that_cannot_travel_is_refused(tmp_path, text, detail, where):
    with pytest.raises(UserCodeError) as caught:
        processing(tmp_path, text)
    assert detail in caught.value.detail
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("result", "detail"),
    [
        ("raw['y']", "preprocess raised: KeyError: 'y'"),
        ("raw['x']", "preprocess returned a ndarray, not arrays by name"),
        ("{}", "preprocess returned a dict"),
        ("{'x': [1, 2]}", "preprocess returned a list for 'x'"),
        ("{'x': raw['x'][:1]}", "it must keep the rows"),
        ("{'x': raw['x'].sum()}", "not an array"),
        ("{'x': np.array(3)}", "it must keep the rows"),
    ],
)
def test_what_is_no_mapping_of_rows_is_refused(tmp_path, result, detail):
    made = processing(tmp_path, f"import numpy as np\n\ndef preprocess(raw):\n    return {result}\n")
    with pytest.raises(UserCodeError) as caught:
        made.before({"x": np.ones((2, 3))})
    assert detail in caught.value.detail


def test_an_artifact_without_its_file_is_corrupt(tmp_path):
    with pytest.raises(ArtifactCorruptError):
        load_processing(tmp_path)
