"""The control plane's API over a real registry, and its error table."""

import httpx
import pytest

from loopback import served
from onnxyard import errors
from onnxyard.bootstrap import Yard
from onnxyard_control.app import create_app
from onnxyard_control.faults import STATUS, problem_of, status_of
from sample_home import fill_home, settings_of


def tree(kind: type[errors.OnnxyardError]) -> list[type[errors.OnnxyardError]]:
    return [each for child in kind.__subclasses__() for each in (child, *tree(child))]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    with (
        served(create_app(fill_home(folder / "home", folder / "scratch").yard)) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


@pytest.mark.parametrize("kind", [k for k in tree(errors.OnnxyardError) if k.__module__ == errors.__name__])
def test_every_error_of_the_tree_has_its_status(kind):
    assert any(parent in STATUS for parent in kind.__mro__)
    response = problem_of(kind("what", where="here", remedy="do this"), "/x")
    assert response.status_code == status_of(kind("what"))
    assert response.media_type == "application/problem+json"
    assert ("Retry-After" in response.headers) == issubclass(kind, errors.TransientError)


def test_the_statuses_are_the_ones_clients_rely_on():
    kinds = (
        errors.InvalidRequestError,
        errors.NotFoundError,
        errors.ConflictError,
        errors.GateFailedError,
        errors.UnsupportedModelError,
        errors.ArtifactCorruptError,
        errors.TransientError,
        errors.OnnxyardError,
    )
    assert [status_of(kind("x")) for kind in kinds] == [422, 404, 409, 409, 422, 500, 503, 500]


def test_endpoints_say_what_is_live(client):
    (endpoint,) = client.get("/api/v1/endpoints").json()
    assert (endpoint["endpoint"], endpoint["generation"]) == ("digits", 2)
    assert endpoint["deployments"][0]["version"] == 3
    assert {replica["state"] for replica in endpoint["replicas"]} == {"serving", "refused"}
    assert endpoint["last_window"]["verdict"] == "drift"
    assert client.get("/api/v1/endpoints/digits").json() == endpoint


def test_history_answers_who_did_what_when(client):
    history = client.get("/api/v1/endpoints/digits/history").json()
    assert [(d["generation"], d["version"], d["actor"]) for d in history] == [(2, 3, "ada@yard"), (1, 1, "ada@yard")]
    assert all(d["created_at"].endswith("Z") for d in history)


def test_windows_come_newest_first_up_to_the_limit(client):
    windows = client.get("/api/v1/endpoints/digits/windows", params={"limit": 3}).json()
    assert [w["verdict"] for w in windows] == ["drift", "drift", "no_drift"]
    assert len(windows[0]["report_digest"]) == 64


def test_models_and_passports(client):
    (model,) = client.get("/api/v1/models").json()
    assert [(v["version"], v["status"]) for v in model["versions"]] == [(3, "live"), (2, "rejected"), (1, "validated")]
    assert client.get("/api/v1/models/digits").json() == model
    passport = client.get("/api/v1/models/digits/versions/2").json()
    failed = [gate for gate in passport["gates"] if not gate["passed"]]
    assert [(g["name"], g["outcome"]) for g in failed] == [("quality:accuracy@cpu", "failed")]
    assert passport["artifacts"][0]["files"][0]["path"] == "model.onnx"
    chosen = next(candidate for candidate in passport["candidates"] if candidate["chosen"])
    assert chosen["setup"] == {
        "runtime": "openvino",
        "provider": "CPU",
        "threads": 1,
        "options": {"precision": "bf16"},
    }
    assert [latency["batch_size"] for latency in chosen["latencies"]] == [1, 8]
    assert chosen["ratio"]["low"] < chosen["ratio"]["value"] < chosen["ratio"]["high"]
    assert len(chosen["artifact"]) == 64
    assert {candidate["outcome"] for candidate in passport["candidates"]} >= {"measured", "refused", "failed"}
    assert passport["lineage"]["git_commit"] == "c0ffee1234+dirty"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/endpoints/none", 404),
        ("/api/v1/endpoints/none/history", 404),
        ("/api/v1/endpoints/none/windows", 404),
        ("/api/v1/models/none", 404),
        ("/api/v1/models/digits/versions/99", 404),
        ("/api/v1/models/digits/versions/three", 422),
        ("/api/v1/endpoints/digits/windows?limit=0", 422),
        ("/nowhere", 404),
    ],
)
def test_bad_questions_get_a_problem_document(client, path, status):
    response = client.get(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == path.partition("?")[0]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_changes_nothing(client, method):
    response = getattr(client, method)("/api/v1/endpoints/digits")
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"
    assert "GET" in response.headers["allow"]


def test_a_registry_that_does_not_answer_is_503(tmp_path):
    yard = Yard(settings_of(tmp_path, "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"))
    with served(create_app(yard)) as url:
        response = httpx.get(f"{url}/healthz")
    assert response.status_code == 503
    assert response.headers["retry-after"]


def test_a_defect_leaks_nothing():
    class Broken:
        @property
        def unit_of_work(self):
            raise ZeroDivisionError("a secret")

    with served(create_app(Broken())) as url:
        response = httpx.get(f"{url}/healthz")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["content-type"] == "application/problem+json"
