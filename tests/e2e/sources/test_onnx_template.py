"""The template `onnx` goes all the way: a finished file with string and int64 inputs and two outputs."""

from __future__ import annotations

import runpy
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from live import live
from onnxyard.lifecycle.digest import file_digest
from onnxyard.project.reading import read_project_file

TEMPLATE = Path(str(files("onnxyard"))) / "templates" / "onnx"


def test_the_file_is_the_one_that_its_script_makes(monkeypatch):
    monkeypatch.syspath_prepend(TEMPLATE)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    script = runpy.run_path(str(TEMPLATE / "make_model.py"))
    sys.modules.pop("deliveries")
    made, shipped = script["graph"](*script["fit"](4000, 1)), onnx.load(TEMPLATE / "model.onnx")
    assert made.graph.node == shipped.graph.node
    assert made.graph.input == shipped.graph.input
    for one, other in zip(made.graph.initializer, shipped.graph.initializer, strict=True):
        # Not bit by bit: another processor adds up in another order.
        np.testing.assert_allclose(numpy_helper.to_array(one), numpy_helper.to_array(other), rtol=1e-4, atol=1e-5)
    assert (TEMPLATE / "model.onnx").stat().st_size < 20_000


def test_its_digest_is_pinned():
    assert read_project_file(TEMPLATE).project.onnx_sha256 == file_digest(TEMPLATE / "model.onnx")


@pytest.mark.slow
def test_it_goes_to_a_live_endpoint(tmp_path):
    with live("onnx", tmp_path) as endpoint:
        raw = endpoint.rows(50)
        assert raw["carrier"].dtype == object
        assert raw["parcels"].dtype == np.int64
        answer = endpoint.ask(raw)
        wanted = endpoint.by_framework(raw)
        assert answer["days"].dtype == np.int64
        np.testing.assert_array_equal(answer["days"], wanted["days"])
        np.testing.assert_allclose(answer["late"], wanted["late"], rtol=1e-5)
        targets = endpoint.project.functions().data().test.targets[:50]
        assert np.mean(np.abs(answer["days"][:, 0] - targets) <= 1) > 0.9
