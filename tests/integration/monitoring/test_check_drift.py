"""The drift check from end to end: a real registry, store and prediction log; Evidently in its own process."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from onnxyard.bootstrap import Yard
from onnxyard.errors import ArtifactCorruptError, NotFoundError, NoTrafficError, TransientError
from onnxyard.lifecycle.digest import file_digest
from onnxyard.lifecycle.drift import ColumnDrift
from onnxyard.lifecycle.version import ArtifactRole
from onnxyard.operations.promote import promote
from onnxyard.ports.prediction_log import PredictionRecord
from onnxyard.predictions.sqlite_log import SqlitePredictionLog
from onnxyard.profile.layout import Layout
from onnxyard.profile.reference import write_reference
from onnxyard_monitoring.evidence import Renderer
from onnxyard_monitoring.jobs import check_drift, recorded_windows, scheduled_check
from sample_home import SIGNATURE, add_version, settings_of

BATCH = 50
LAYOUT = Layout.of(SIGNATURE, {"x": ["left", "right"]})


def described(seed: int, rows: int, shift: float) -> dict[str, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(rows, 2)).astype(np.float32)
    x[:, 0] += shift
    return LAYOUT.describe({"x": x}, {"y": 2 * x})


class Endpoint:
    """An endpoint `digits` with a champion, its reference, and a log to write traffic into."""

    def __init__(self, home, scratch):
        self.settings = settings_of(home)
        self.yard = Yard(self.settings)
        self.scratch = scratch
        self.log = SqlitePredictionLog(self.settings.predictions)
        self.sequence = count(1)
        self.seed = count(501)
        self.at = datetime.now(UTC)
        self.deploy(1)

    def deploy(self, number: int) -> None:
        reference = self.scratch / f"reference-{number}"
        write_reference(reference, LAYOUT, described(number, 2000, 0.0))
        now = datetime.now(UTC)
        add_version(self.yard, "digits", str(number), scratch=self.scratch, at=now, reference=reference)
        target = self.yard.deployment_target
        promote(
            self.yard.unit_of_work, target, model="digits", version=number, actor="t", reason="a test", now=now
        )  # fmt: skip
        self.version = number

    def traffic(self, rows: int, shift: float = 0.0) -> None:
        columns = described(next(self.seed), rows, shift)
        records = []
        for start in range(0, rows, BATCH):
            part = {name: values[start : start + BATCH].tolist() for name, values in columns.items()}
            self.at += timedelta(seconds=1)
            records.append(
                PredictionRecord(
                    sequence=next(self.sequence),
                    replica="r1",
                    request_id=uuid4().hex,
                    client_id=None,
                    endpoint="digits",
                    model="digits",
                    version=self.version,
                    digest="d" * 64,
                    role="champion",
                    generation=1,
                    at=self.at,
                    rows=len(next(iter(part.values()))),
                    duration_us=80,
                    columns=part,
                )
            )
        self.log.append(records)

    def check(self, **options):
        return check_drift(self.settings, endpoint="digits", **options)


@pytest.fixture
def endpoint(tmp_path):
    made = Endpoint(tmp_path / "home", tmp_path / "scratch")
    yield made
    made.log.close()


def command(home, *arguments):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONNXYARD_")}
    line = [sys.executable, "-m", "onnxyard.cli", "monitor", *arguments, "--home", str(home)]
    return subprocess.run(line, check=False, capture_output=True, text=True, env=environ)


def test_the_planted_shift_and_only_the_planted_shift_is_drift(endpoint):
    endpoint.traffic(600)
    calm = endpoint.check(rows=600)
    endpoint.traffic(600, shift=1.0)
    shifted = endpoint.check(rows=600)
    assert (calm["verdict"], shifted["verdict"]) == ("no_drift", "drift")
    assert shifted["first_sequence"] == calm["last_sequence"] + 1
    assert "left" in {column["column"] for column in shifted["columns"] if column["drifted"]}
    assert "right" not in {column["column"] for column in shifted["columns"] if column["drifted"]}
    assert shifted["recorded"]
    report = Path(shifted["report"]).read_text(encoding="utf-8")
    assert "<html" in report[:200]
    assert endpoint.yard.store.verify(shifted["report_digest"]).files[0].path == "report.html"
    latest = recorded_windows(endpoint.settings, endpoint="digits", limit=5)
    assert [w["verdict"] for w in latest] == ["drift", "no_drift"]


def test_without_new_traffic_the_last_window_stands(endpoint):
    endpoint.traffic(500)
    first = endpoint.check()
    again = endpoint.check()
    assert again == first | {"recorded": False}
    assert len(recorded_windows(endpoint.settings, endpoint="digits", limit=5)) == 1


def test_thin_traffic_adds_up_until_a_verdict_is_possible(endpoint):
    verdicts = []
    for _ in range(3):
        endpoint.traffic(200)
        verdicts.append((endpoint.check()["verdict"], endpoint.check()["recorded"]))
    assert verdicts == [("undecided", False), ("undecided", False), ("no_drift", False)]
    windows = recorded_windows(endpoint.settings, endpoint="digits", limit=5)
    assert [w["rows"] for w in windows] == [500, 400, 200]


def test_a_new_version_is_compared_with_its_own_traffic_only(endpoint):
    endpoint.traffic(600, shift=3.0)
    endpoint.deploy(2)
    with pytest.raises(NotFoundError, match="No prediction of digits@2"):
        endpoint.check()
    endpoint.traffic(600)
    assert endpoint.check()["verdict"] == "no_drift"


def test_a_corrupt_reference_is_refused_and_nothing_is_recorded(endpoint):
    endpoint.traffic(600)
    with endpoint.yard.unit_of_work() as work:
        files = work.versions.get("digits", 1).artifact(ArtifactRole.REFERENCE).artifact.files
    victim = next(
        p for p in endpoint.settings.artifacts.rglob("*") if p.is_file() and file_digest(p) == files[0].sha256
    )
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(content)
    with pytest.raises(ArtifactCorruptError):
        endpoint.check()
    assert recorded_windows(endpoint.settings, endpoint="digits", limit=5) == []
    assert list(endpoint.settings.workspaces.iterdir()) == []


def test_the_command(endpoint):
    endpoint.traffic(600, shift=1.0)
    home = endpoint.settings.home
    text = command(home, "digits")
    assert text.returncode == 0, text.stderr
    for word in ("drift", "left", "500 rows", "Report", "report.html"):
        assert word in text.stdout
    told = command(home, "digits", "--json")
    assert (told.returncode, json.loads(told.stdout)["verdict"]) == (0, "drift")
    assert json.loads(command(home, "digits", "--last", "3", "--json").stdout)[0]["rows"] == 500
    assert "too" not in command(home, "digits", "--last", "3").stdout


@pytest.mark.parametrize("arguments", [("dgits",), ("dgits", "--last", "2"), ("digits",)])
def test_an_unknown_endpoint_or_an_empty_log_is_one_clear_message(endpoint, arguments):
    done = command(endpoint.settings.home, *arguments)
    assert done.returncode == 4
    assert done.stdout == ""
    assert "digits" in done.stderr
    assert "next:" in done.stderr
    assert "Traceback" not in done.stderr


def test_evidently_that_fails_costs_the_report_and_not_the_verdict(endpoint, monkeypatch):
    endpoint.traffic(600, shift=1.0)
    monkeypatch.setenv("PYTHONPATH", str(endpoint.scratch / "broken"))
    (endpoint.scratch / "broken" / "evidently").mkdir(parents=True)
    (endpoint.scratch / "broken" / "evidently" / "__init__.py").write_text("raise MemoryError('planted')")
    window = endpoint.check()
    assert (window["verdict"], window["report"]) == ("drift", None)
    assert "No report: Evidently failed: MemoryError: planted" in window["detail"]


def test_columns_of_every_kind_can_be_rendered(tmp_path):
    names = ("number", "constant", "label", "silent", "<b>&name")
    columns = tuple(ColumnDrift(n, "ks", 0.5, 0.5, 0.1, drifted=i == 0) for i, n in enumerate(names))
    values = np.linspace(0, 1, 600)
    table = {
        "number": values,
        "constant": np.ones(600),
        "label": np.array(["cat", "dog"] * 300, dtype=object),
        "silent": np.where(values < 0.5, np.nan, values),
        "<b>&name": values,
    }
    with Renderer() as renderer:
        renderer.render(table, table, columns, into=tmp_path)
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_renderer_that_hangs_is_given_up(tmp_path):
    columns = (ColumnDrift("x", "ks", 0.5, 0.5, 0.1, drifted=False),)
    table = {"x": np.zeros(600)}
    with Renderer() as renderer, pytest.raises(TransientError, match="took longer"):
        renderer.render(table, table, columns, into=tmp_path, timeout_s=0.01)


def test_no_traffic_is_an_error_for_a_person_and_a_result_for_a_schedule(endpoint):
    with pytest.raises(NoTrafficError, match="No prediction of digits@1 was logged yet"):
        endpoint.check()
    told = scheduled_check(endpoint.settings, endpoint="digits")
    assert (told["verdict"], told["rows"], told["recorded"]) == (None, 0, False)
    endpoint.traffic(600)
    assert scheduled_check(endpoint.settings, endpoint="digits")["verdict"] == "no_drift"


def test_a_schedule_for_an_endpoint_that_is_not_there_fails(endpoint):
    with pytest.raises(NotFoundError, match="no endpoint digitz"):
        scheduled_check(endpoint.settings, endpoint="digitz")
