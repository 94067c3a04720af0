"""The registry's commands, run as people run them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from onnxyard.cli.main import main
from onnxyard.lifecycle.version import VersionStatus
from onnxyard.operations.register import register
from onnxyard.operations.replicas import report
from onnxyard.operations.windows import record_window
from onnxyard.registry.database import open_registry
from onnxyard.testing import sample_draft, sample_report, sample_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from onnxyard.registry.database import SqlRegistry

    Command = Callable[..., tuple[int, str, str]]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def registry(home: Path) -> Iterator[SqlRegistry]:
    """digits@1 and @2 passed, @3 was rejected; MLflow knows none of them."""
    opened = open_registry(f"sqlite:///{home / 'registry.sqlite'}")
    for key, verdict in (("a", "validated"), ("b", "validated"), ("c", "rejected")):
        draft = sample_draft(key=key, verdict=VersionStatus(verdict), mlflow_model_version=None)
        register(opened, draft, actor="ann@host", now=NOON)
    yield opened
    opened.close()


@pytest.fixture
def onnxyard(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command; its exit code, stdout and stderr."""
    for name in list(os.environ):
        if name.startswith(("ONNXYARD_", "MLFLOW_", "PREFECT_")):
            monkeypatch.delenv(name)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["onnxyard", *arguments, "--home", str(home)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(str(ended.value.code)), told.out, told.err

    return run


def document(told: tuple[int, str, str]) -> Any:
    code, stdout, stderr = told
    assert code == 0, stderr
    return json.loads(stdout)


@pytest.mark.usefixtures("registry")
def test_versions(onnxyard: Command) -> None:
    found = document(onnxyard("versions", "digits", "--json"))
    assert [(v["version"], v["status"]) for v in found["versions"]] == [
        (3, "rejected"),
        (2, "validated"),
        (1, "validated"),
    ]
    assert found["versions"][0]["gates"][1]["passed"] is False
    code, page, _ = onnxyard("versions", "digits")
    assert code == 0
    assert "digits@3" in page
    assert "1 of 2 passed" in page


def test_show(onnxyard: Command, registry: SqlRegistry) -> None:
    onnxyard("promote", "digits@2", "--reason", "better recall")
    report(registry, sample_report(version=2))
    shown = document(onnxyard("show", "digits@2", "--json"))
    assert shown["status"] == "live"
    assert {"target", "digest", "files", "opset", "ir_version"} <= set(shown["artifacts"][0])
    assert {"recipe", "target", "quality", "p50_ms", "p99_ms", "size_bytes", "chosen"} <= set(shown["candidates"][0])
    chosen = next(each for each in shown["candidates"] if each["chosen"])
    assert chosen["setup"] == {"runtime": "openvino", "provider": "CPU", "threads": 1, "options": {"precision": "bf16"}}
    assert chosen["ratio"]["low"] < chosen["ratio"]["value"] < chosen["ratio"]["high"] < 1
    assert [each["outcome"] for each in shown["candidates"]][-3:] == ["stopped", "refused", "failed"]
    assert {"name", "observed", "threshold", "passed"} <= set(shown["gates"][0])
    assert shown["deployments"][0]["reason"] == "better recall"
    assert shown["replicas"][0]["provider"] == "CPUExecutionProvider"
    _, page, _ = onnxyard("show", "digits@2")
    for fact in ("LIVE", "torch 2.13.0", "0123abc", "quality:accuracy@cpu", "int8-qdq", "better recall", "fp32"):
        assert fact in page
    assert "REJECTED" in onnxyard("show", "digits")[1]  # the newest


def test_promote_and_roll_back(onnxyard: Command, registry: SqlRegistry) -> None:
    first = document(onnxyard("promote", "digits@1", "--json"))
    assert (first["generation"], first["changed"], first["alias_pending"]) == (1, True, False)
    assert first["actor"].endswith(f"@{socket.gethostname()}")
    again = document(onnxyard("promote", "digits@1", "--json"))
    assert (again["generation"], again["changed"]) == (1, False)
    assert onnxyard("promote", "digits@2")[1] == "digits@2 is live at digits since generation 2.\n"
    assert onnxyard("promote", "digits@2")[1] == "digits@2 is live at digits already (generation 2).\n"
    assert document(onnxyard("promote", "digits@1", "--endpoint", "staging", "--json"))["endpoint"] == "staging"
    assert onnxyard("rollback", "digits", "--reason", "pager")[1] == "digits@1 is live at digits since generation 3.\n"
    with registry() as work:
        assert work.audit.entries()[0].detail["reason"] == "pager"


def test_status(onnxyard: Command, registry: SqlRegistry) -> None:
    assert document(onnxyard("status", "--json")) == {"endpoints": []}
    assert "Nothing is deployed yet" in onnxyard("status")[1]
    onnxyard("promote", "digits@1")
    assert "none has reported" in onnxyard("status")[1]
    report(registry, sample_report(message="golden set differs", generation=0))
    record_window(registry, sample_window(), actor="monitor", now=NOON)
    (endpoint,) = document(onnxyard("status", "--json"))["endpoints"]
    assert (endpoint["generation"], endpoint["deployments"][0]["version"]) == (1, 1)
    assert endpoint["last_window"]["verdict"] == "no_drift"
    page = onnxyard("status")[1]
    for fact in ("digits@1 on cpu", "generation 0: golden set differs", "no drift (500 rows"):
        assert fact in page.replace("\n", " ").replace("  ", " ") or fact in page


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("arguments", "code", "fact"),
    [
        (("versions", "digit"), 4, "Did you mean digits?"),
        (("show", "digits@9"), 4, "there are 1 to 3"),
        (("show", "digits@latest"), 3, "names no version"),
        (("show", "@1"), 3, "names no version"),
        (("promote", "digits"), 3, "Say which version"),
        (("promote", "digits@3"), 6, "quality:accuracy@cpu: 0.5 against 0.93"),
        (("promote", "digitz@1"), 4, "Did you mean digits?"),
        (("rollback", "digits"), 4, "Nothing is deployed yet"),
    ],
)
def test_what_cannot_be_is_told_with_its_exit_code(
    onnxyard: Command, arguments: tuple[str, ...], code: int, fact: str
) -> None:
    ended, stdout, stderr = onnxyard(*arguments)
    assert (ended, stdout) == (code, "")
    assert fact in stderr
    ended, stdout, _ = onnxyard(*arguments, "--json")
    assert ended == code
    assert json.loads(stdout)["error"]["detail"]


@pytest.mark.usefixtures("registry")
def test_rolling_back_the_first_champion_is_a_conflict(onnxyard: Command) -> None:
    onnxyard("promote", "digits@1")
    code, _, stderr = onnxyard("rollback", "digits")
    assert code == 5
    assert "onnxyard promote MODEL@VERSION" in stderr


def test_asking_about_nothing_makes_nothing(onnxyard: Command, home: Path) -> None:
    for arguments in (
        ("status",),
        ("versions", "digits"),
        ("show", "digits"),
        ("db", "current"),
        ("rollback", "digits"),
    ):
        code, _, stderr = onnxyard(*arguments)
        assert code == 4
        assert "no registry here yet" in stderr
    assert not home.exists()


def test_db(onnxyard: Command, home: Path) -> None:
    made = document(onnxyard("db", "upgrade", "--json"))
    assert made["revision"] == made["needed"]
    assert (home / "registry.sqlite").is_file()
    assert document(onnxyard("db", "current", "--json")) == made
    assert "is at revision" in onnxyard("db", "current")[1]


def test_db_on_a_server(onnxyard: Command, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXYARD_DATABASE_URL", empty_postgres_url)
    assert document(onnxyard("db", "current", "--json"))["revision"] is None
    assert "onnxyard db upgrade" in onnxyard("db", "current")[1]
    code, _, stderr = onnxyard("status")
    assert code == 5
    assert "onnxyard db upgrade" in stderr
    document(onnxyard("db", "upgrade", "--json"))
    assert document(onnxyard("status", "--json")) == {"endpoints": []}


def test_an_unreachable_server_is_told(onnxyard: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ONNXYARD_DATABASE_URL", f"postgresql://ann:secret@127.0.0.1:{taken.getsockname()[1]}/r")
        code, _, stderr = onnxyard("status")
    assert code == 75
    assert "does not answer" in stderr
    assert "secret" not in stderr


LOGGED = """
import sys
from pathlib import Path
from mlflow import MlflowClient
from onnxyard.bootstrap import Yard
from onnxyard.settings import Settings
settings = Settings.read(home=Path(sys.argv[1]))
Yard(settings).recorder.check()
client = MlflowClient(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri)
if sys.argv[2] == "log":
    client.create_registered_model("digits")
    for number in (1, 2):
        client.create_model_version("digits", source=f"mlflow-artifacts:/digits/{number}")
else:
    print(client.get_model_version_by_alias("digits", "champion").version)
"""


def test_promotion_succeeds_while_mlflow_is_away_and_the_alias_follows(home: Path, registry: SqlRegistry) -> None:
    def child(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def promote(version: str, **environment: str) -> tuple[dict[str, object], str]:
        command = "from onnxyard.cli.main import main; main()"
        ran = child(command, "promote", version, "--home", str(home), "--json", **environment)
        return document((ran.returncode, ran.stdout, ran.stderr)), ran.stderr

    def waiting() -> list[int]:
        with registry() as work:
            return [message.attempts for message in work.outbox.pending(topic="mlflow.alias")]

    for number in "12":
        draft = sample_draft(key=f"logged {number}", mlflow_model_version=number)
        register(registry, draft, actor="ann@host", now=NOON)
    logged = child(LOGGED, str(home), "log")
    assert logged.returncode == 0, logged.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told, stderr = promote("digits@4", ONNXYARD_MLFLOW_TRACKING_URI=away)
    assert (told["version"], told["changed"], told["alias_pending"]) == (4, True, True)
    assert "MLflow's alias will follow" in stderr
    assert waiting() == [1]
    told, stderr = promote("digits@5")
    assert (told["version"], told["alias_pending"]) == (5, False), stderr
    assert waiting() == []
    assert child(LOGGED, str(home), "look").stdout == "2\n"
