import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.profile.layout import Kind, Layout
from onnxyard.profile.reference import read_reference, write_reference
from onnxyard.profile.summary import STATISTICS, summarise

DIGITS = Signature(
    (TensorSpec("image", "UINT8", ("batch", 8, 8)),),
    (TensorSpec("label", "INT64", ("batch",)), TensorSpec("probabilities", "FLOAT", ("batch", 10))),
)
TABLE = Signature((TensorSpec("features", "FLOAT", ("batch", 2)),), (TensorSpec("price", "FLOAT", ("batch", 1)),))


def texts(*values):
    return np.array(values, dtype=object)


def test_an_image_is_ten_numbers_and_never_pixels():
    layout = Layout.of(DIGITS, {})
    assert layout.names == (*(f"image.{name}" for name in STATISTICS), "label", "probabilities.top")
    image = np.zeros((2, 8, 8), np.uint8)
    image[1, :, 4:] = 16
    described = layout.describe(
        {"image": image}, {"label": np.array([3, 7]), "probabilities": np.eye(10, dtype=np.float32)[:2]}
    )
    assert described["image.mean"].tolist() == [0.0, 8.0]
    assert described["image.share_at_max"].tolist() == [1.0, 0.5]
    assert described["label"].tolist() == ["3", "7"]
    assert described["probabilities.top"].tolist() == [1.0, 1.0]


def test_flat_features_carry_their_names():
    layout = Layout.of(TABLE, {"features": ["radius", "texture"]})
    assert layout.names == ("radius", "texture", "price")
    described = layout.describe({"features": np.array([[1, 2], [3, 4]])}, {"price": np.array([[5.0], [6.0]])})
    assert {name: values.tolist() for name, values in described.items()} == {
        "radius": [1, 3],
        "texture": [2, 4],
        "price": [5, 6],
    }
    assert Layout.of(TABLE, None).names == ("features.0", "features.1", "price")


def test_text_gives_a_category_and_a_length():
    signature = Signature((TensorSpec("review", "STRING", ("batch",)),), (TensorSpec("mood", "STRING", ("batch",)),))
    described = Layout.of(signature, {}).describe({"review": texts("good", "x" * 99)}, {"mood": texts("+", "-")})
    assert described["review.length"].tolist() == [4, 99]
    assert described["mood"].tolist() == ["+", "-"]
    assert len(described["review"][1]) == 64


def test_names_never_clash():
    signature = Signature((TensorSpec("x", "FLOAT", ("batch",)),), (TensorSpec("x", "FLOAT", ("batch",)),))
    assert Layout.of(signature, {}).names == ("x", "answer.x")


@pytest.mark.parametrize("columns", [{"featurs": ["a", "b"]}, {"features": ["a"]}])
def test_columns_that_do_not_fit_are_refused(columns):
    with pytest.raises(InvalidRequestError):
        Layout.of(TABLE, columns)


def test_a_missing_or_misshapen_tensor_is_refused():
    layout = Layout.of(TABLE, {})
    with pytest.raises(InvalidRequestError):
        layout.describe({}, {"price": np.zeros(1)})
    with pytest.raises(InvalidRequestError):
        layout.describe({"features": np.zeros((1, 1))}, {"price": np.zeros(1)})


SPECS = st.tuples(
    st.sampled_from(["FLOAT", "DOUBLE", "UINT8", "INT64", "FLOAT16", "BOOL"]),
    st.lists(st.integers(0, 5), max_size=3),
)


@settings(deadline=None)
@given(st.data(), SPECS, SPECS, st.integers(0, 4))
def test_every_column_has_one_finite_value_per_row(data, given_in, given_out, rows):
    from onnxyard.tensors.dtypes import numpy_dtype  # noqa: PLC0415 - beside its use

    def tensor(kind):
        return data.draw(hnp.arrays(numpy_dtype(kind[0]), (rows, *kind[1])))

    signature = Signature(
        (TensorSpec("in", given_in[0], ("batch", *given_in[1])),),
        (TensorSpec("out", given_out[0], ("batch", *given_out[1])),),
    )
    layout = Layout.of(signature, {})
    described = layout.describe({"in": tensor(given_in)}, {"out": tensor(given_out)})
    assert tuple(described) == layout.names
    for column in layout.columns:
        values = described[column.name]
        assert values.shape == (rows,)
        if column.kind is Kind.NUMBER:
            assert values.dtype == np.float64
            assert np.isfinite(values).all()
        else:
            assert all(isinstance(value, str) for value in values)
    assert Layout.of_document(json.loads(json.dumps(layout.document()))) == layout


def test_statistics_are_what_their_names_say():
    rows = np.random.default_rng(0).normal(size=(3, 40, 40))
    made = dict(zip(STATISTICS, summarise(rows).T, strict=True))
    flat = rows.reshape(3, -1)
    for name, expected in {"mean": flat.mean(1), "std": flat.std(1), "min": flat.min(1), "max": flat.max(1)}.items():
        np.testing.assert_allclose(made[name], expected)
    np.testing.assert_allclose(made["p05"], np.quantile(flat, 0.05, axis=1, method="nearest"), atol=0.01)
    steps = (np.abs(np.diff(rows, axis=1)).sum((1, 2)) + np.abs(np.diff(rows, axis=2)).sum((1, 2))) / (2 * 39 * 40)
    np.testing.assert_allclose(made["gradient"], steps)


def test_a_row_is_described_within_half_a_millisecond():
    images = np.random.default_rng(0).integers(0, 255, (64, 64, 64), dtype=np.uint8)
    best = min(timed(images) for _ in range(5))
    assert best / 64 < 0.0005


def timed(images):
    began = time.process_time()
    summarise(images)
    return time.process_time() - began


def test_a_reference_comes_back(tmp_path):
    layout = Layout.of(DIGITS, {})
    answers = {"label": np.array([3, 7]), "probabilities": np.ones((2, 10), np.float32)}
    columns = layout.describe({"image": np.ones((2, 8, 8), np.uint8)}, answers)
    write_reference(tmp_path, layout, columns)
    reference = read_reference(tmp_path)
    assert reference.layout == layout
    assert reference.rows == 2
    assert {name: values.tolist() for name, values in reference.columns.items()} == {
        name: values.tolist() for name, values in columns.items()
    }


def test_a_broken_reference_is_named(tmp_path):
    with pytest.raises(ArtifactCorruptError):
        read_reference(tmp_path)
    layout = Layout.of(TABLE, {})
    write_reference(tmp_path, layout, layout.describe({"features": np.ones((1, 2))}, {"price": np.ones(1)}))
    (tmp_path / "layout.json").write_text("[{}]")
    with pytest.raises(ArtifactCorruptError):
        read_reference(tmp_path)
    with pytest.raises(InvalidRequestError):
        write_reference(tmp_path, layout, {})


def test_a_number_that_may_be_missing_has_a_column_that_says_so():
    inputs = (
        TensorSpec("x", "FLOAT", ("batch", 2), missing=True),
        TensorSpec("job", "STRING", ("batch",), missing=True),
    )
    layout = Layout.of(Signature(inputs, ()), {"x": ["income", "balance"]})
    assert layout.names == ("income", "income.missing", "balance", "balance.missing", "job", "job.length")
    described = layout.describe({"x": np.array([[1.5, np.nan]]), "job": texts("")}, {})
    assert described["balance"].tolist() == [0.0]
    assert [described[name].tolist() for name in ("income.missing", "balance.missing", "job")] == [
        ["present"],
        ["missing"],
        [""],
    ]
    assert Layout.of_document(layout.document()) == layout
