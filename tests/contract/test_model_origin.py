"""One contract for the places that finished models come from: a zoo's folder, a zoo's URL, an MLflow registry."""

from __future__ import annotations

import mlflow
import numpy as np
import onnx
import pytest
import yaml
from mlflow import MlflowClient
from onnx import helper

import graphs
from onnxyard.errors import (
    ArtifactCorruptError,
    InvalidRequestError,
    NotFoundError,
    UnreachableError,
    UnsupportedModelError,
)
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.recording.mlflow_models import MlflowModels
from onnxyard.recording.mlflow_recorder import MlflowRecorder
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.zoo.manifest import choose, parse
from onnxyard.zoo.mirror import ZooMirror
from zoo import entry, on_loopback, write_zoo

pytestmark = pytest.mark.filterwarnings(  # as in test_recorder.py: MLflow's own
    "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning",
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",
)
SIGNATURE = Signature((TensorSpec("features", "FLOAT", ("batch", 4)),), (TensorSpec("scores", "FLOAT", ("batch", 3)),))


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Two models, as bytes."""
    folder = tmp_path_factory.mktemp("models")
    return [graphs.linear(folder / f"{scale}.onnx", scale=scale)[0].read_bytes() for scale in (1.0, 2.0)]


@pytest.fixture(scope="module")
def zoo_folder(tmp_path_factory, contents):
    old, new = contents
    return write_zoo(tmp_path_factory.mktemp("zoo"), [(entry("Linear", 12, old), old), (entry("Linear", 20, new), new)])


@pytest.fixture(scope="module")
def mlflow_registry(tmp_path_factory, contents):
    """Two versions of `linear`, recorded as a lifecycle records them; `champion` points to the second."""
    home = tmp_path_factory.mktemp("mlflow")
    uri, artifacts = f"sqlite:///{home / 'mlflow.sqlite'}", home / "artifacts"
    recorder = MlflowRecorder(uri, artifacts=artifacts)
    with recorder.lifecycle(model="linear", tags={}) as lifecycle, lifecycle.stage("register") as stage:
        for number, content in enumerate(contents):
            file = home / f"{number}.onnx"
            file.write_bytes(content)
            stage.model(file, name="linear", signature=SIGNATURE, tags={})
    recorder.set_alias(model="linear", alias="champion", version="2")
    return uri, artifacts


@pytest.fixture(scope="module", params=["folder", "url", "mlflow"])
def place(request):
    """The origin, what names its newest model, and what that turns out to be."""
    if request.param == "mlflow":
        uri, artifacts = request.getfixturevalue("mlflow_registry")
        yield MlflowModels(uri, artifacts=artifacts), "models:/linear@champion", "models:/linear/2", "models:/linear/1"
        return
    folder = request.getfixturevalue("zoo_folder")
    if request.param == "folder":
        yield ZooMirror(str(folder)), "zoo:linear", "zoo:Linear@20", "zoo:Linear@12"
        return
    with on_loopback(folder) as url:
        yield ZooMirror(url), "zoo:linear", "zoo:Linear@20", "zoo:Linear@12"


def same(file, content):
    """MLflow writes the graph anew, so the graphs are compared and not the bytes."""
    return onnx.load(file).graph.initializer[0] == onnx.load_from_string(content).graph.initializer[0]


def test_the_newest_comes_and_says_exactly_what_it_is(place, contents, tmp_path):
    origin, newest, exact, _ = place
    assert origin.fetch(newest, tmp_path) == exact
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert same(tmp_path / "model.onnx", contents[1])


def test_an_older_one_comes_when_it_is_named(place, contents, tmp_path):
    origin, _, _, older = place
    assert origin.fetch(older, tmp_path) == older
    assert same(tmp_path / "model.onnx", contents[0])


def test_what_nobody_has_is_not_found(place, tmp_path):
    origin, newest, _, older = place
    for reference in (newest.replace("linear", "conic"), older.replace("12", "13").replace("/1", "/9")):
        with pytest.raises(NotFoundError):
            origin.fetch(reference, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_reference_that_is_none_is_told(place, tmp_path):
    origin, newest, *_ = place
    scheme = newest[: newest.index(":")]
    for reference in (f"{scheme}:/", f"{scheme}:/@", f"{scheme}:/linear@"):
        with pytest.raises((InvalidRequestError, NotFoundError)):
            origin.fetch(reference, tmp_path)


# --- a zoo


def zoo_of(folder, content, **wrong):
    return write_zoo(folder, [(entry("Linear", 20, content, **wrong), content)])


@pytest.mark.parametrize("over", ["folder", "url"])
@pytest.mark.parametrize(
    "case",
    [
        ({"model_sha": "0" * 64}, ArtifactCorruptError, "the manifest says 000000000000"),
        ({"model_bytes": 10}, ArtifactCorruptError, "More comes .* than the 10 bytes"),
        ({"model_bytes": 10_000}, UnreachableError, "it ended after"),
        ({"model_sha": None}, InvalidRequestError, "names no sha256"),
    ],
)
def test_what_is_not_what_was_promised_is_refused_and_nothing_is_left(tmp_path, contents, over, case):
    wrong, error, said = case
    folder = zoo_of(tmp_path / "zoo", contents[0], **wrong)
    into = tmp_path / "into"
    into.mkdir()
    with on_loopback(folder) as url, pytest.raises(error, match=said):
        ZooMirror(url if over == "url" else str(folder)).fetch("zoo:Linear", into)
    assert not list(into.iterdir())


def test_a_network_that_is_away_is_told_with_what_to_do(tmp_path):
    with on_loopback(tmp_path) as url:
        pass  # and now nobody listens there
    with pytest.raises(UnreachableError, match=r"does not answer.*refused") as caught:
        ZooMirror(url).fetch("zoo:Linear", tmp_path)
    assert "[project] zoo" in caught.value.remedy


@pytest.mark.parametrize("over", ["folder", "url"])
def test_a_place_without_a_manifest_is_no_zoo(tmp_path, over):
    with on_loopback(tmp_path) as url, pytest.raises(NotFoundError, match=r"no ONNX_HUB_MANIFEST\.json"):
        ZooMirror(url if over == "url" else str(tmp_path)).models()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"<html>", "no JSON"),
        (b"{}", "no list"),
        (b"[1]", "Entry 0 .* is no table"),
        (b'[{"model": "a"}]', "names no model or no path"),
        (b'[{"model": "a", "model_path": "../../etc/passwd"}]', "leaves the zoo"),
        (b'[{"model": "a", "model_path": "/etc/passwd"}]', "leaves the zoo"),
        (b'[{"model": "a", "model_path": "http://elsewhere/a.onnx"}]', "leaves the zoo"),
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest, said):
    with pytest.raises(ArtifactCorruptError, match=said):
        parse(manifest, "zoo")


def test_a_name_nearly_right_is_helped():
    models = parse(b'[{"model": "ResNet50", "model_path": "a.onnx", "opset_version": 12}]', "zoo")
    assert choose(models, "zoo:resnet50@12").name == "ResNet50"
    with pytest.raises(NotFoundError) as caught:
        choose(models, "zoo:ResNet5")
    assert "ResNet50" in caught.value.remedy
    with pytest.raises(NotFoundError) as caught:
        choose(models, "zoo:ResNet50@7")
    assert "12" in caught.value.remedy


# --- an MLflow registry


def test_a_model_of_another_flavour_is_refused_by_its_name(mlflow_registry, tmp_path):
    uri, artifacts = mlflow_registry
    logged = tmp_path / "logged"
    logged.mkdir()
    (logged / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": {"pickled_model": "model.pkl"}}}))
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri, uri)
    client.create_registered_model("pickled")
    client.create_model_version("pickled", logged.as_uri())
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(UnsupportedModelError, match=r"models:/pickled/1 is no ONNX model; MLflow has it as sklearn"):
        MlflowModels(uri, artifacts=artifacts).fetch("models:/pickled/1", into)
    assert not list(into.iterdir())


def test_an_mlflow_that_is_away_is_told(tmp_path):
    with on_loopback(tmp_path) as url:
        pass
    with pytest.raises(UnreachableError, match="MLflow does not answer"):
        MlflowModels(url, artifacts=tmp_path).fetch("models:/linear/1", tmp_path)


def test_weights_in_a_file_of_their_own_come_along(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxyard.recording.mlflow_recorder._EXTERNAL_FROM_BYTES", 0)  # instead of a model of 1 GiB
    weights = np.arange(4 * 512, dtype=np.float32).reshape(4, 512)
    file = graphs.write(
        tmp_path / "model" / "model.onnx",
        [helper.make_node("MatMul", ["features", "weights"], ["scores"])],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 512])],
        weights={"weights": weights},
        external=True,
    )
    uri, artifacts = f"sqlite:///{tmp_path / 'mlflow.sqlite'}", tmp_path / "artifacts"
    recorder = MlflowRecorder(uri, artifacts=artifacts)
    with recorder.lifecycle(model="large", tags={}) as lifecycle, lifecycle.stage("register") as stage:
        stage.model(file, name="large", signature=SIGNATURE, tags={})
    into = tmp_path / "into"
    into.mkdir()
    assert MlflowModels(uri, artifacts=artifacts).fetch("models:/large/1", into) == "models:/large/1"
    assert len(list(into.iterdir())) == 2
    model = OnnxRuntime.load(into / "model.onnx", provider="CPUExecutionProvider", threads=1)
    np.testing.assert_array_equal(model.run({"features": np.eye(4, dtype=np.float32)})["scores"], weights)
