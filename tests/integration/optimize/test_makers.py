"""Makers: candidates are made in children, here or by a cluster, and whatever happens to one is its own outcome."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from linear_project import linear_project
from onnxyard.errors import MissingExtraError, UnreachableError, UserCodeError
from onnxyard.measuring.exclusive import measuring_alone
from onnxyard.stages.optimize import makers as makers_module
from onnxyard.stages.optimize.makers import Makers


@pytest.fixture
def prepared(tmp_path):
    return linear_project(tmp_path)


def makers(prepared, tmp_path, **given):
    source, told = prepared
    return Makers(told, source, tmp_path / "made", scratch=tmp_path / "children", **{"workers": 1, **given})


def test_each_recipe_gives_its_model_in_a_folder_of_its_own(prepared, tmp_path):
    with makers(prepared, tmp_path, workers=2) as two:
        made = two.make(["fp32", "int8-qdq", "int8-dynamic"], limit_s=120)
    assert {name: one.precision for name, one in made.items()} == {
        "fp32": "fp32",
        "int8-qdq": "int8",
        "int8-dynamic": "int8",
    }
    for name, one in made.items():
        assert one.file.parent == tmp_path / "made" / name
        assert one.portable is (name != "int8-dynamic") or name == "int8-dynamic"
        assert not one.failure


def test_nothing_is_made_twice(prepared, tmp_path):
    with makers(prepared, tmp_path) as one:
        first = one.make(["fp32"], limit_s=120)
        assert one.make(["fp32"], limit_s=120)["fp32"] is first["fp32"]


def test_no_child_is_left(prepared, tmp_path):
    with makers(prepared, tmp_path) as one:
        one.make(["fp32"], limit_s=120)
        (idle,) = makers_module._IDLE.values()
        worker = idle.get()
        idle.put(worker)
    assert worker._child.poll() is not None


def test_a_child_that_dies_is_one_candidates_failure(prepared, tmp_path):
    with makers(prepared, tmp_path) as one:
        one.make(["fp32"], limit_s=120)
        (idle,) = makers_module._IDLE.values()
        worker = idle.get()
        idle.put(worker)
        os.kill(worker._child.pid, signal.SIGKILL)
        made = one.make(["int8-qdq"], limit_s=120)["int8-qdq"]
        assert made.broke
        assert "SIGKILL" in made.failure
        assert one.make(["int8-dynamic"], limit_s=120)["int8-dynamic"].file is not None


def test_a_child_that_takes_too_long_is_stopped(prepared, tmp_path):
    with makers(prepared, tmp_path) as one:
        one.make(["fp32"], limit_s=120)
        made = one.make(["int8-aware"], limit_s=0.001)["int8-aware"]
    assert made.broke
    assert "gave no answer" in made.failure


def test_what_has_nothing_to_offer_did_not_break(prepared, tmp_path):
    with makers(prepared, tmp_path) as one:
        made = one.make(["transformer-onnxruntime"], limit_s=120)["transformer-onnxruntime"]
    assert made.file is None
    assert not made.broke
    assert made.failure


def test_the_projects_own_failure_is_no_candidates(prepared, tmp_path):
    source, told = prepared
    module = Path(told["root"]) / "linear.py"
    module.write_text(module.read_text() + '\n\ndef metrics(targets, outputs):\n    raise KeyError("no such column")\n')
    with makers((source, told), tmp_path) as one, pytest.raises(UserCodeError, match="no such column"):
        one.make(["int8-aware"], limit_s=120)


def test_nothing_is_made_while_something_is_measured(prepared, tmp_path):
    with makers(prepared, tmp_path) as one:
        one.make(["fp32"], limit_s=120)
        done = threading.Event()

        def make():
            one.make(["int8-dynamic"], limit_s=120)
            done.set()

        with measuring_alone():
            thread = threading.Thread(target=make)
            thread.start()
            assert not done.wait(1.0)
        thread.join(120)
        assert done.is_set()


def test_a_dask_cluster_makes_them(prepared, tmp_path):
    from distributed import LocalCluster  # noqa: PLC0415 - takes a second to import

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        makers(prepared, tmp_path, dask=cluster.scheduler_address) as spread,
    ):
        made = spread.make(["fp32", "int8-dynamic"], limit_s=120)
    assert made["fp32"].file.is_file()
    assert made["int8-dynamic"].precision == "int8"


def test_a_scheduler_that_does_not_answer(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(makers_module, "_DASK_S", "0.5s")
    with pytest.raises(UnreachableError, match="Dask scheduler does not answer") as caught:
        makers(prepared, tmp_path, dask="tcp://127.0.0.1:9")
    assert caught.value.where == "tcp://127.0.0.1:9"


def test_dask_that_is_not_installed_names_the_extra(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match="Dask is not installed") as caught:
        makers(prepared, tmp_path, dask="tcp://127.0.0.1:9")
    assert "onnxyard[dask]" in caught.value.remedy
