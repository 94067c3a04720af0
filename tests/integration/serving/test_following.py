"""Following the registry, one look at a time: what is new goes live, what is wrong is refused and the old stays."""

import json
import shutil

import numpy as np
import pytest

from onnxyard.errors import InvalidRequestError, NotFoundError, StorageFullError, TransientError
from onnxyard.lifecycle.deployment import ReplicaState
from onnxyard.lifecycle.version import ArtifactRole
from onnxyard_serving import follower as followers
from onnxyard_serving import loader as loaders
from onnxyard_serving.cache import STATE
from onnxyard_serving.readiness import readiness
from serving_home import scaled

from .conftest import answering

X = np.array([[1, 2, 3, 4]], dtype=np.float32)


def answer_of(replica, endpoint="scale"):
    return replica.endpoints.get(endpoint).serving().answer({"x": X})["scores"]


def report_of(home, endpoint="scale"):
    with home.registry() as registry, registry() as work:
        [said] = work.replicas.of_endpoint(endpoint)
    return said


def corrupt(home, digest, name):
    """Flip one byte of an artifact's file in the store."""
    [file] = [file for file in home.store.manifest(digest).files if file.path == name]
    blob = home.settings.artifacts / "blobs" / file.sha256[:2] / file.sha256
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(content)


@pytest.fixture
def serving_one(home, new_replica):
    home.add_scaled(1)
    home.promote("scale", 1)
    replica = new_replica()
    replica.follower.follow()
    return replica


def test_the_first_look_loads_and_reports(home, serving_one):
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))
    said = report_of(home)
    served = serving_one.endpoints.get("scale").serving()
    assert (said.state, said.generation, said.version, said.message) == (ReplicaState.SERVING, 1, 1, "")
    assert (said.provider, said.precision, said.digest) == ("CPUExecutionProvider", "fp32", served.digest)
    assert said.runtime == served.loaded.runtime
    assert (said.replica, said.url) == (serving_one.name, "http://127.0.0.1:1")


def test_a_new_generation_is_swapped_in_whole(home, serving_one):
    home.add_scaled(2)
    home.promote("scale", 2)
    old = serving_one.endpoints.get("scale").serving()
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 2))
    np.testing.assert_array_equal(old.answer({"x": X})["scores"], scaled(X, 1))  # a request in flight keeps the old
    assert report_of(home).generation == 2


def test_nothing_is_loaded_twice(serving_one, monkeypatch):
    monkeypatch.setattr(serving_one.follower._loader, "load", None)
    before = serving_one.endpoints.get("scale").serving()
    serving_one.follower.follow()
    assert serving_one.endpoints.get("scale").serving() is before


def test_the_same_version_in_a_new_generation_needs_no_loading(home, serving_one):
    home.add_scaled(2, expected_shift=0.5)
    home.promote("scale", 2)
    serving_one.follower.follow()  # refused
    loaded = serving_one.endpoints.get("scale").serving().loaded
    home.promote("scale", 1)
    serving_one.follower.follow()
    served = serving_one.endpoints.get("scale").serving()
    assert (served.generation, served.loaded) == (3, loaded)
    assert report_of(home).state is ReplicaState.SERVING


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (ArtifactRole.MODEL, "model.onnx"),
        (ArtifactRole.PROCESSING, "processing.py"),
        (ArtifactRole.GOLDEN_SET, "inputs/0000.pb"),
        (ArtifactRole.REFERENCE, "layout.json"),
    ],
    ids=str,
)
def test_one_flipped_byte_is_refused_and_quarantined(home, serving_one, role, name):
    version = home.add_scaled(2)
    artifact = version.artifact(role, "cpu" if role is ArtifactRole.MODEL else "")
    corrupt(home, artifact.artifact.digest, name)
    home.promote("scale", 2)
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))
    said = report_of(home)
    assert (said.state, said.generation, said.version) == (ReplicaState.REFUSED, 1, 1)
    assert "scale@2 (generation 2)" in said.message
    assert "corrupt" in said.message
    assert list((home.settings.artifacts / "quarantine").iterdir())
    with pytest.raises(NotFoundError):
        home.store.manifest(artifact.artifact.digest)
    document = readiness(serving_one)
    assert document["ready"]
    assert document["endpoints"]["scale"]["state"] == "refused"
    assert document["endpoints"]["scale"]["generation"] == 1


def test_a_model_that_does_not_meet_its_golden_set_is_refused(home, serving_one):
    home.add_scaled(2, expected_shift=0.5)
    home.promote("scale", 2)
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))
    assert "golden set" in report_of(home).message


def test_processing_that_fails_on_the_golden_set_is_refused(home, serving_one, monkeypatch):
    def fail(*_):
        raise MemoryError("planted")

    monkeypatch.setattr(loaders, "load_processing", fail)
    home.add_scaled(2)
    home.promote("scale", 2)
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))
    assert "MemoryError: planted" in report_of(home).message


def test_a_refused_generation_is_not_tried_again_but_the_next_one_is(home, serving_one, monkeypatch):
    home.add_scaled(2, expected_shift=0.5)
    home.promote("scale", 2)
    serving_one.follower.follow()
    load = serving_one.follower._loader.load
    monkeypatch.setattr(serving_one.follower._loader, "load", None)
    serving_one.follower.follow()
    monkeypatch.setattr(serving_one.follower._loader, "load", load)
    home.add_scaled(3)
    home.promote("scale", 3)
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 3))
    assert report_of(home).state is ReplicaState.SERVING


def test_a_full_disk_is_tried_again(home, serving_one, monkeypatch):
    def full(*_):
        raise StorageFullError("No space is left.")

    home.add_scaled(2)
    home.promote("scale", 2)
    with monkeypatch.context() as patch:
        patch.setattr(serving_one.follower._loader._store, "fetch", full)
        serving_one.follower.follow()
    assert report_of(home).message.endswith("No space is left.")
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 2))


def test_an_endpoint_that_cannot_be_loaded_at_first_is_not_ready(home, new_replica):
    home.add_scaled(1, expected_shift=0.5)
    home.promote("scale", 1)
    replica = new_replica()
    replica.follower.follow()
    assert not readiness(replica)["ready"]
    with pytest.raises(TransientError, match="golden set"):
        replica.endpoints.get("scale").serving()
    assert report_of(home).version is None


def test_only_named_endpoints_are_served(home, new_replica):
    home.add_scaled(1)
    home.promote("scale", 1, endpoint="left")
    home.promote("scale", 1, endpoint="right")
    replica = new_replica(names=["right", "nowhere"])
    replica.follower.follow()
    assert [endpoint.name for endpoint in replica.endpoints] == ["right", "nowhere"]
    document = readiness(replica)
    assert not document["ready"]
    assert document["endpoints"]["nowhere"]["message"] == "The registry has no such endpoint."
    assert document["endpoints"]["right"]["loaded"]


def test_an_unchanged_report_is_repeated_as_a_sign_of_life(home, serving_one, monkeypatch):
    first = report_of(home).seen_at
    serving_one.follower.follow()
    assert report_of(home).seen_at == first
    monkeypatch.setattr(followers, "HEARTBEAT_SECONDS", 0)
    serving_one.follower.follow()
    assert report_of(home).seen_at > first


def restart(replica, new_replica):
    """The next replica of this home, with the first one's cache and no look at the registry yet."""
    replica._cache.release()
    replica._cache.release = lambda: None
    again = new_replica()
    assert again.name == replica.name
    again.follower.restore(again._cache.last_good())
    return again


def test_a_restart_serves_the_last_good_state_before_any_registry(serving_one, new_replica, monkeypatch):
    monkeypatch.setattr(loaders, "rehearse", None)  # rehearsed with this runtime already
    again = restart(serving_one, new_replica)
    np.testing.assert_array_equal(answer_of(again), scaled(X, 1))
    assert readiness(again)["ready"]
    assert not readiness(again)["registry"]["reachable"]


def test_another_runtime_is_rehearsed_again(serving_one, new_replica, monkeypatch):
    state = serving_one._cache._folder / STATE
    state.write_text(state.read_text().replace("onnxruntime 1", "onnxruntime 0"))
    rehearsed = []
    real = loaders.rehearse
    monkeypatch.setattr(loaders, "rehearse", lambda *a, **k: rehearsed.append(a) or real(*a, **k))
    again = restart(serving_one, new_replica)
    assert len(rehearsed) == 1
    assert readiness(again)["ready"]


def test_a_corrupt_cache_is_not_served_and_heals_from_the_store(home, serving_one, new_replica):
    digest = serving_one.endpoints.get("scale").serving().digest
    cached = serving_one._cache._path(digest) / "model.onnx"
    content = bytearray(cached.read_bytes())
    content[-1] ^= 1
    cached.write_bytes(content)
    again = restart(serving_one, new_replica)
    assert again.endpoints.get("scale").current is None
    assert "corrupt" in again.endpoints.get("scale").message
    again.follower.follow()
    np.testing.assert_array_equal(answer_of(again), scaled(X, 1))
    assert report_of(home).state is ReplicaState.SERVING


def test_an_unreadable_state_file_costs_only_the_head_start(home, serving_one, caplog):
    (serving_one._cache._folder / STATE).write_text('[{"assignment": 3}]')
    serving_one._cache.release()
    serving_one._cache.release = lambda: None
    with answering(home) as (again, _):
        np.testing.assert_array_equal(answer_of(again), scaled(X, 1))
    assert "state file is unreadable" in caplog.text


def test_the_cache_holds_what_is_served_and_no_more(home, serving_one):
    home.add_scaled(2)
    home.promote("scale", 2)
    serving_one.follower.follow()
    assignment = serving_one.endpoints.get("scale").serving().assignment
    folder = serving_one._cache._folder
    assert {path.name for path in (folder / "artifacts").iterdir()} == set(assignment.digests)
    [entry] = json.loads((folder / STATE).read_text())
    assert entry["assignment"]["version"] == 2


def test_replicas_of_one_home_do_not_share_a_cache(serving_one, new_replica):
    other = new_replica()
    assert other.name != serving_one.name
    other.follower.follow()
    np.testing.assert_array_equal(answer_of(other), scaled(X, 1))


def test_a_lost_store_does_not_touch_what_is_loaded(home, serving_one):
    shutil.rmtree(home.settings.artifacts)
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))


def test_a_registry_that_cannot_be_written_is_followed_all_the_same(home, serving_one, monkeypatch):
    def full(*_):
        raise StorageFullError("No space is left for the registry.")

    home.add_scaled(2)
    home.promote("scale", 2)
    with monkeypatch.context() as patch:
        patch.setattr(followers.replicas, "report", full)
        serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 2))
    assert readiness(serving_one)["registry"]["unreported"] == "No space is left for the registry."
    serving_one.follower.follow()
    assert report_of(home).generation == 2
    assert "unreported" not in readiness(serving_one)["registry"]


def test_a_state_that_cannot_be_remembered_is_not_served(home, serving_one, monkeypatch):
    def full(*_):
        raise StorageFullError("No space is left.")

    home.add_scaled(2)
    home.promote("scale", 2)
    with monkeypatch.context() as patch:
        patch.setattr(serving_one._cache, "remember", full)
        serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 1))
    serving_one.follower.follow()
    np.testing.assert_array_equal(answer_of(serving_one), scaled(X, 2))


def test_a_folder_that_cannot_be_written_is_told(home, new_replica):
    home.settings.home.mkdir(parents=True)
    home.settings.replicas.write_text("in the way")
    with pytest.raises((InvalidRequestError, StorageFullError), match="cannot be written"):
        new_replica()
