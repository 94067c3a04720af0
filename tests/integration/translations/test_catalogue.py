"""Every entry of the catalogue answers as torch does, within the error it claims."""

from __future__ import annotations

import warnings
from pkgutil import iter_modules

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from trials import TRIALS

from onnxyard.sources.torch import translations
from onnxyard.sources.torch.catalogue import catalogue, translation_table
from onnxyard.sources.torch.dynamo import quiet

ENTRIES = {one.entry: one for one in TRIALS}


class Tried(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.tried = forward

    def forward(self, x):
        return tuple(self.tried(x))


def entry_of(name):
    module = __import__(f"{translations.__name__}.{name}", fromlist=["TRANSLATION"])
    return module.TRANSLATION


def export(forward, batch, *, opset=20, entries=None, axes=(0,)):
    """A session of the module with a free batch, translated by these entries (all of the catalogue by default)."""
    table = translation_table({}, opset=opset, entries=catalogue() if entries is None else entries)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about operators in beta and about export
        program = torch.onnx.export(
            Tried(forward).eval(),
            (torch.from_numpy(batch),),
            dynamic_shapes={"x": dict.fromkeys(axes, torch.export.Dim.DYNAMIC)},
            opset_version=opset,
            custom_translation_table=table or None,
            verbose=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options, ["CPUExecutionProvider"])


def errors(session, forward, batch):
    """Each output's largest difference, relative to its largest finite value; infinite where none can be told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        expected = [one.numpy() for one in forward(torch.from_numpy(batch))]
    actual = session.run(None, {session.get_inputs()[0].name: batch})
    return [error(*pair) for pair in zip(expected, actual, strict=True)]


def error(expected, actual):
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        return np.inf
    wanted, got = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where((wanted == got) | (np.isnan(wanted) & np.isnan(got)), 0.0, np.abs(wanted - got))
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    return float(np.nan_to_num(difference.max(initial=0.0), nan=np.inf) / max(size, 1e-30))


def test_every_entry_is_tried():
    assert {found.name for found in iter_modules(translations.__path__)} == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_answers_as_torch_does_at_any_batch(name):
    trial, entry = ENTRIES[name], entry_of(name)
    session = export(trial.forward, trial.batch(2, seed=1))
    for batch in (trial.batch(2, seed=2), trial.batch(5, seed=3), trial.batch(1, seed=4)[:1]):
        measured = errors(session, trial.forward, batch)
        assert max(measured) <= entry.max_error, measured


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 23, 26])
@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_holds_at_older_and_newer_opsets(name, opset):
    trial, entry = ENTRIES[name], entry_of(name)
    session = export(trial.forward, trial.batch(2, seed=1), opset=opset)
    measured = errors(session, trial.forward, trial.batch(3, seed=2))
    assert max(measured) <= entry.max_error, measured


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_without_its_entry_torch_refuses_or_answers_wrongly(name):
    """An entry that torch has caught up with has no reason to be here any more."""
    trial, entry = ENTRIES[name], entry_of(name)
    try:
        session = export(trial.forward, trial.batch(2, seed=1), entries=[])
    except torch.onnx.errors.OnnxExporterError:
        return
    assert entry.silent
    usual = trial.batch(4, seed=1)[:4]  # without the edges, beside whose size no difference would show
    assert max(errors(session, trial.forward, usual)) > 1e-4


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mode=st.sampled_from(["bilinear", "bicubic"]),
    align=st.booleans(),
)
@example(height=9, width=16, size=(5, 6), mode="bilinear", align=False)
@example(height=1, width=40, size=(40, 1), mode="bicubic", align=True)
def test_antialiased_resize_at_any_size(height, width, size, mode, align):
    assume(width > 1 or size[1] > 1)  # see below

    def forward(x):
        return [functional.interpolate(x, size=size, mode=mode, align_corners=align, antialias=True)]

    batch = np.random.default_rng(0).normal(size=(2, 2, height, width)).astype(np.float32)
    assert errors(export(forward, batch), forward, batch)[0] <= entry_of("antialiased_resize").max_error


def test_of_a_column_the_translation_is_right_where_torch_is_wrong():
    """Torch 2.13 gives the first row over and over, but not of the same numbers channels last."""

    def forward(x):
        return [functional.interpolate(x, size=(3, 1), mode="bilinear", antialias=True)]

    batch = np.array([[[[1.0], [3.0]], [[10.0], [20.0]]]], np.float32)
    right = np.array([[[[1.0], [2.0], [3.0]], [[10.0], [15.0], [20.0]]]], np.float32)
    session = export(forward, batch)
    (given,) = session.run(None, {session.get_inputs()[0].name: batch})
    np.testing.assert_allclose(given, right, rtol=2e-6)
    last = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
    np.testing.assert_allclose(forward(last)[0].numpy(), right, rtol=2e-6)
    assert not np.allclose(forward(torch.from_numpy(batch))[0].numpy(), right)


@pytest.mark.slow
def test_the_largest_matrices_that_are_unrolled():
    def forward(x):
        return [torch.linalg.inv(x.flip(1)), torch.linalg.cholesky(x), *torch.linalg.qr(x)]

    random = np.random.default_rng(0)
    turned = np.linalg.qr(random.normal(size=(3, 16, 16)))[0]
    batch = ((turned * np.geomspace(0.1, 5, 16)) @ turned.transpose(0, 2, 1)).astype(np.float32)
    assert max(errors(export(forward, batch[:2]), forward, batch)) <= entry_of("linear_systems").max_error


@pytest.mark.parametrize(
    ("forward", "shape", "said"),
    [
        (lambda x: [torch.linalg.inv(x)], (17, 17), "matrix of 17 rows is not unrolled"),
        (lambda x: [functional.rrelu(x, training=True)], (3,), "at random in training mode"),
        (lambda x: [functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)], (3, 4), "drops 0.5"),
    ],
)
def test_beyond_its_limits_an_entry_refuses_and_says_why(forward, shape, said):
    with pytest.raises(torch.onnx.errors.OnnxExporterError) as caught:
        export(forward, np.ones((2, *shape), dtype=np.float32))
    link = caught.value
    while link.__cause__ is not None:
        link = link.__cause__
    assert said in str(link)


def test_antialiased_resize_of_a_dynamic_image():
    def forward(x):
        return [functional.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True)]

    random = np.random.default_rng(0)
    session = export(forward, random.normal(size=(2, 2, 9, 16)).astype(np.float32), axes=(0, 2, 3))
    for shape in ((1, 2, 9, 16), (3, 2, 31, 7)):
        batch = random.normal(size=shape).astype(np.float32)
        assert errors(session, forward, batch)[0] <= entry_of("antialiased_resize").max_error
