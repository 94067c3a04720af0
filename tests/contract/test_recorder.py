"""One contract, three recorders: in memory, MLflow on SQLite, and MLflow behind a real server on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import mlflow
import numpy as np
import onnx
import onnxruntime
import pytest
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
from onnx import TensorProto, helper

from onnxyard.errors import ArtifactCorruptError, NotFoundError, UnreachableError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.recording.mlflow_recorder import MlflowRecorder
from onnxyard.testing import InMemoryRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.ports.recorder import Recorder


# MLflow's own tables and types, met by the newest SQLAlchemy it allows and by its own check of types.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning",
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",
)

SIGNATURE = Signature(
    inputs=(TensorSpec("x", "FLOAT", ("batch", 3)),), outputs=(TensorSpec("y", "FLOAT", ("batch", 3)),)
)


class Seen(NamedTuple):
    """A run as somebody who looks finds it."""

    name: str
    parent: str | None
    status: str
    params: dict[str, str]
    metrics: dict[str, list[tuple[int, float]]]
    tags: dict[str, str]
    files: list[str]


class Look(Protocol):
    """Reads back, by the recorder's own means and not ours."""

    def runs(self, model: str) -> list[Seen]: ...
    def alias(self, model: str, alias: str) -> str: ...


class MemoryLook:
    def __init__(self, recorder: InMemoryRecorder) -> None:
        self._recorder = recorder

    def runs(self, model: str) -> list[Seen]:
        ours = {run.run_id for run in self._recorder.runs.values() if run.parent is None and run.name == model}
        return [
            Seen(run.name, run.parent, run.status, run.params, run.metrics, run.tags, sorted(run.files))
            for run in self._recorder.runs.values()
            if run.run_id in ours or run.parent in ours
        ]

    def alias(self, model: str, alias: str) -> str:
        return self._recorder.aliases[model, alias]


class MlflowLook:
    def __init__(self, uri: str) -> None:
        self.client = MlflowClient(uri, uri)

    def runs(self, model: str) -> list[Seen]:
        experiment = self.client.get_experiment_by_name(model)
        found = self.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
        return [
            Seen(
                run.info.run_name,
                run.data.tags.get("mlflow.parentRunId"),
                run.info.status,
                run.data.params,
                {
                    name: [(m.step, m.value) for m in self.client.get_metric_history(run.info.run_id, name)]
                    for name in run.data.metrics
                },
                run.data.tags,
                [
                    file.path
                    for folder in self.client.list_artifacts(run.info.run_id)
                    for file in self.client.list_artifacts(run.info.run_id, folder.path)
                ],
            )
            for run in found
        ]

    def alias(self, model: str, alias: str) -> str:
        return str(self.client.get_model_version_by_alias(model, alias).version)


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.sqlite'}", "--workers", "1"]
    command += ["--artifacts-destination", (folder / "artifacts").as_uri(), "--serve-artifacts"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(url, process, folder / "log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # a busy machine: MLflow's workers take their time
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Readiness loop: the server offers nothing to wait on but its answer."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - http on loopback
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])


@pytest.fixture(scope="module")
def sqlite_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('home') / 'mlflow.sqlite'}"


@pytest.fixture(params=["memory", "sqlite", "server"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Recorder, Look]:
    if request.param == "memory":
        recorder = InMemoryRecorder()
        return recorder, MemoryLook(recorder)
    uri = request.getfixturevalue("sqlite_uri" if request.param == "sqlite" else "mlflow_server")
    return MlflowRecorder(uri, artifacts=tmp_path / "artifacts"), MlflowLook(uri)


@pytest.fixture
def model_name(request: pytest.FixtureRequest) -> str:
    """Each test its own experiment: the databases are shared."""
    return request.node.originalname.replace("test_", "")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "scale",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [weights],
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_a_lifecycle_is_a_parent_run_with_a_run_per_stage(
    yard: tuple[Recorder, Look], model_name: str, tmp_path: Path
) -> None:
    recorder, look = yard
    recorder.check()
    (tmp_path / "loss.txt").write_text("curve")
    with recorder.lifecycle(model=model_name, tags={"git": "abc"}) as lifecycle:
        with lifecycle.stage("develop") as stage:
            stage.params({"epochs": 3, "rate": 0.1})
            for step in (1, 2):
                stage.metrics({"loss": 1.0 / step}, step=step)
            stage.file(tmp_path / "loss.txt", folder="plots")
        with lifecycle.stage("export") as stage:
            stage.tags({"reused": "true"})
    parent, develop, export = sorted(look.runs(model_name), key=lambda run: (run.parent is not None, run.name))
    assert (parent.parent, parent.status, parent.tags["git"]) == (None, "FINISHED", "abc")
    assert {develop.parent, export.parent} == {lifecycle.run_id}
    assert (develop.name, develop.status) == ("develop", "FINISHED")
    assert develop.params == {"epochs": "3", "rate": "0.1"}
    assert develop.metrics == {"loss": [(1, 1.0), (2, 0.5)]}
    assert develop.files == ["plots/loss.txt"]
    assert export.tags["reused"] == "true"


def test_a_stage_that_raises_ends_as_failed_and_so_does_its_lifecycle(
    yard: tuple[Recorder, Look], model_name: str
) -> None:
    recorder, look = yard
    with (
        pytest.raises(ZeroDivisionError),
        recorder.lifecycle(model=model_name, tags={}) as lifecycle,
        lifecycle.stage("develop"),
    ):
        _ = 1 / 0
    assert [run.status for run in look.runs(model_name)] == ["FAILED", "FAILED"]


def test_an_interrupted_lifecycle_ends_as_killed(yard: tuple[Recorder, Look], model_name: str) -> None:
    recorder, look = yard
    with pytest.raises(KeyboardInterrupt), recorder.lifecycle(model=model_name, tags={}):
        raise KeyboardInterrupt
    assert [run.status for run in look.runs(model_name)] == ["KILLED"]


def test_registering_counts_versions_and_the_alias_follows(
    yard: tuple[Recorder, Look], model_name: str, model_file: Path
) -> None:
    recorder, look = yard
    with recorder.lifecycle(model=model_name, tags={}) as lifecycle, lifecycle.stage("validate") as stage:
        versions = [
            stage.model(model_file, name=model_name, signature=SIGNATURE, tags={"target": "cpu"}) for _ in range(2)
        ]
    assert versions == ["1", "2"]
    for version in ("2", "1", "1"):
        recorder.set_alias(model=model_name, alias="champion", version=version)
        assert look.alias(model_name, "champion") == version


def test_an_alias_of_a_version_that_is_not_there_is_refused(yard: tuple[Recorder, Look], model_name: str) -> None:
    recorder, _ = yard
    with pytest.raises(NotFoundError):
        recorder.set_alias(model=model_name, alias="champion", version="7")


@pytest.fixture(params=["sqlite", "server"])
def uri(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("sqlite_uri" if request.param == "sqlite" else "mlflow_server")


def test_the_model_loads_back_from_mlflow_and_answers_like_the_artifact(
    uri: str, model_name: str, model_file: Path, tmp_path: Path
) -> None:
    recorder = MlflowRecorder(uri, artifacts=tmp_path / "artifacts")
    with recorder.lifecycle(model=model_name, tags={}) as lifecycle, lifecycle.stage("validate") as stage:
        version = stage.model(model_file, name=model_name, signature=SIGNATURE, tags={})
    recorder.set_alias(model=model_name, alias="champion", version=version)
    loaded = mlflow.onnx.load_model(f"models:/{model_name}@champion")
    x = np.random.default_rng(0).random((4, 3), dtype=np.float32)
    answers = [
        onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for source in (loaded.SerializeToString(), str(model_file))
    ]
    np.testing.assert_array_equal(*answers)
    info = mlflow.models.get_model_info(f"models:/{model_name}@champion")
    assert [(column.name, column.shape) for column in info.signature.inputs.inputs] == [("x", (-1, 3))]
    folder = mlflow.artifacts.download_artifacts(f"models:/{model_name}@champion", dst_path=str(tmp_path / "back"))
    assert f"onnxruntime=={onnxruntime.__version__}" in Path(folder, "requirements.txt").read_text()
    logged = MlflowLook(uri).client.search_logged_models([experiment_of(uri, model_name)])
    assert [(model.source_run_id, model.status.name) for model in logged] == [(info.run_id, "READY")]


def experiment_of(uri: str, model: str) -> str:
    return str(MlflowLook(uri).client.get_experiment_by_name(model).experiment_id)


def test_gate_names_are_recorded_although_mlflow_forbids_the_at_sign(uri: str, model_name: str, tmp_path: Path) -> None:
    recorder = MlflowRecorder(uri, artifacts=tmp_path / "artifacts")
    with recorder.lifecycle(model=model_name, tags={}) as lifecycle, lifecycle.stage("validate") as stage:
        stage.metrics({"size@cpu": 12.0, "quality:accuracy@cpu": float("nan")})
    [stage_run] = [run for run in MlflowLook(uri).runs(model_name) if run.parent]
    assert set(stage_run.metrics) == {"size/cpu", "quality:accuracy/cpu"}


def test_pickle_stays_off(uri: str, tmp_path: Path, model_name: str) -> None:
    with MlflowRecorder(uri, artifacts=tmp_path / "artifacts").lifecycle(model=model_name, tags={}):
        assert not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()


def test_bytes_that_are_no_model_are_refused(tmp_path: Path, sqlite_uri: str, model_name: str) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 40)
    recorder = MlflowRecorder(sqlite_uri, artifacts=tmp_path / "artifacts")
    with (
        pytest.raises(ArtifactCorruptError),
        recorder.lifecycle(model=model_name, tags={}) as lifecycle,
        lifecycle.stage("validate") as stage,
    ):
        stage.model(tmp_path / "model.onnx", name=model_name, signature=SIGNATURE, tags={})


def test_a_server_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, never listening: refused at once
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        recorder = MlflowRecorder(url, artifacts=tmp_path)
        with pytest.raises(UnreachableError) as caught:
            recorder.check()
        assert caught.value.where == url
        assert "ONNXYARD_MLFLOW_TRACKING_URI" in caught.value.remedy
        with pytest.raises(UnreachableError):
            recorder.set_alias(model="digits", alias="champion", version="1")


def test_a_server_that_accepts_and_never_answers_does_not_hang_the_check(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            MlflowRecorder(f"http://127.0.0.1:{silent.getsockname()[1]}", artifacts=tmp_path).check()
        assert time.monotonic() - began < 10


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, where a folder should be")
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'home' / 'mlflow.sqlite'}", artifacts=tmp_path / "home" / "a")
    with pytest.raises(UnreachableError) as caught:
        recorder.check()
    assert str(tmp_path / "home") in caught.value.where


def test_nothing_is_written_beside_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_file: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    recorder = MlflowRecorder(f"sqlite:///{home / 'mlflow.sqlite'}", artifacts=home / "mlflow-artifacts")
    with recorder.lifecycle(model="m", tags={}) as lifecycle, lifecycle.stage("validate") as stage:
        stage.model(model_file, name="m", signature=SIGNATURE, tags={})
        stage.file(model_file, folder="f")
    assert list(elsewhere.iterdir()) == []
    kept = [path.name for path in (home / "mlflow-artifacts" / "m").rglob("*.onnx")]
    assert kept == ["model.onnx", "model.onnx"]


def test_the_address_of_one_home_does_not_leak_into_the_commands_of_another(tmp_path):
    before = {name: value for name, value in os.environ.items() if name.endswith("_URI")}
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.sqlite'}", artifacts=tmp_path / "artifacts")
    with recorder.lifecycle(model="digits", tags={}):
        pass
    assert {name: value for name, value in os.environ.items() if name.endswith("_URI")} == before
