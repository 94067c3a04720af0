"""Every service of docker-compose.yml as a plain process: its command and environment, a real PostgreSQL, loopback.

What is changed on the way: container paths become folders of the test, service names and ports become loopback and free
ports, and PostgreSQL comes from a wheel. That one lacks the extension pg_trgm, which Prefect's migrations ask for and
the image `postgres` brings, so Prefect keeps its state in SQLite here. What is not run: the images' build, the
containers' confinement, the networks.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from compose_file import load
from serving_home import FEATURES, ServingHome, scaled

pytestmark = pytest.mark.slow

COMPOSE = load({"POSTGRES_PASSWORD": "secret"})
SERVICES = COMPOSE["services"]
BIN = Path(sys.executable).parent
START_SECONDS = 120
STOP_SECONDS = 30
KEPT = ("PATH", "LANG", "HOME", "TMPDIR")


@dataclass
class Stack:
    """The stack on this machine.

    Attributes:
        folder: Stands for the containers' file systems.
        postgres: The maintenance database's URL.
        ports: Container port to ours.
        running: What was started, by service.
    """

    folder: Path
    postgres: str
    ports: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """A command's argument or a variable's value, as it must be on this machine."""
        if text.startswith("postgresql+asyncpg://"):
            return f"sqlite+aiosqlite:///{self.folder / 'prefect.sqlite'}"
        text = re.sub(r"(postgresql(?:\+\w+)?)://[^@]+@postgres:5432/(\w+)", self._database, text)
        text = text.replace("/var/lib/onnxyard", str(self.folder / "home"))
        text = text.replace("0.0.0.0", "127.0.0.1")
        text = re.sub(r"\b(mlflow|prefect|127\.0\.0\.1):(\d+)\b", lambda m: f"127.0.0.1:{self.port(m[2])}", text)
        return re.sub(r"^(--port=)?(\d{4})$", lambda m: f"{m[1] or ''}{self.port(m[2])}", text)

    def port(self, inside: str) -> str:
        """The port of this machine that stands for a container's."""
        if inside not in self.ports:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.ports[inside] = str(listener.getsockname()[1])
        return self.ports[inside]

    def url(self, name: str) -> str:
        """Where a service answers."""
        return f"http://127.0.0.1:{self.port(SERVICES[name]['ports'][0].rpartition(':')[2])}"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start(self, name: str) -> None:
        """As Compose would: when those it depends on are there."""
        service = SERVICES[name]
        environ = {key: os.environ[key] for key in KEPT if key in os.environ}
        environ |= {key: self.here(value) for key, value in service.get("environment", {}).items()}
        with self.log(name).open("wb") as log:
            self.running[name] = subprocess.Popen(
                self._command(service["command"]),
                env=environ,
                cwd=self.folder / "home",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, name: str) -> None:
        """Until its health check passes, or (for one that ends) it has ended with 0."""
        process, check = self.running[name], SERVICES[name].get("healthcheck")
        if check is None:
            assert process.wait(START_SECONDS) == 0, self.log(name).read_text()
            return
        assert check["test"][0] == "CMD"
        command = self._command(check["test"][1:])
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(command, check=False, capture_output=True).returncode:
            assert process.poll() is None, self.log(name).read_text()
            assert time.monotonic() < deadline, self.log(name).read_text()

    def stop(self) -> dict[str, int]:
        """SIGTERM to every container's first process, as `docker compose down` does; the exit codes."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        codes = {}
        for name, process in self.running.items():
            try:
                codes[name] = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                codes[name] = 0x7FFFFFFF
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return codes

    def _command(self, words: list[str]) -> list[str]:
        return [str(BIN / words[0]), *(self.here(word) for word in words[1:])]

    def _database(self, match: re.Match[str]) -> str:
        at = conninfo_to_dict(self.postgres)
        return f"{match[1]}://{at['user']}@/{match[2]}?host={at['host']}"


def in_order() -> list[str]:
    """The services we build, each behind those it depends on."""
    ordered: list[str] = []
    left = [name for name in SERVICES if name != "postgres"]
    while left:
        ready = [n for n in left if set(SERVICES[n].get("depends_on", {})) <= {*ordered, "postgres"}]
        assert ready, f"these wait for each other: {left}"
        ordered += ready
        left = [name for name in left if name not in ready]
    return ordered


@pytest.fixture(scope="module")
def stack(tmp_path_factory, postgres_server):
    folder = tmp_path_factory.mktemp("compose")
    (folder / "home").mkdir()
    made = Stack(folder, postgres_server)
    statements = COMPOSE["configs"]["databases"]["content"].split(";")
    own = f"CREATE DATABASE {SERVICES['postgres']['environment']['POSTGRES_DB']}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for statement in (own, *filter(str.strip, statements)):
            connection.execute(statement.strip())
    try:
        for name in in_order():
            for other in SERVICES[name]["depends_on"]:
                if other != "postgres":
                    made.wait(other)
            made.start(name)
        for name in made.running:
            made.wait(name)
        yield made
    finally:
        made.stop()
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            for name in ("onnxyard", "mlflow", "prefect"):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def endpoint(stack):
    """A version made live in the stack's registry and store, as the worker's lifecycle would."""
    database = stack.here(SERVICES["serving"]["environment"]["ONNXYARD_DATABASE_URL"])
    home = ServingHome(stack.folder / "home", stack.folder / "scratch", database)
    version = home.add_scaled(3)
    home.promote("scale", version.number)
    return "scale"


def eventually(ask, holds):
    deadline = time.monotonic() + 30
    while not holds(answer := ask()):
        assert time.monotonic() < deadline, answer.text
    return answer


def test_every_service_is_healthy(stack):
    assert set(stack.running) == set(SERVICES) - {"postgres"}
    for name, process in stack.running.items():
        assert (process.poll() is None) == ("healthcheck" in SERVICES[name]), name


def test_a_request_goes_through_serving(stack, endpoint):
    model = f"{stack.url('serving')}/v2/models/{endpoint}"
    eventually(lambda: httpx.get(f"{model}/ready"), lambda response: response.status_code == 200)
    x = np.arange(2 * FEATURES, dtype=np.float32).reshape(2, FEATURES)
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    answer = httpx.post(f"{model}/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    scores = next(output for output in answer.json()["outputs"] if output["name"] == "scores")
    np.testing.assert_allclose(np.reshape(scores["data"], scores["shape"]), scaled(x, 3), rtol=1e-6)


def test_control_and_dashboard_see_what_serving_serves(stack, endpoint):
    def listed():
        return httpx.get(f"{stack.url('control')}/api/v1/endpoints/{endpoint}")

    answer = eventually(listed, lambda response: any(r["state"] == "serving" for r in response.json()["replicas"]))
    assert answer.json()["deployments"][0]["version"] == 1
    page = httpx.get(stack.url("dashboard")).text
    assert f"{endpoint}@1" in page
    assert "CPUExecutionProvider" in page


def test_registry_and_mlflow_keep_their_records_in_postgresql(stack):
    experiments = httpx.get(f"{stack.url('mlflow')}/api/2.0/mlflow/experiments/search", params={"max_results": 5})
    assert experiments.status_code == 200, experiments.text
    at = conninfo_to_dict(stack.postgres)
    for name, table in (("onnxyard", "versions"), ("mlflow", "experiments")):
        with psycopg.connect(host=at["host"], user=at["user"], dbname=name) as connection:
            tables = {row[0] for row in connection.execute("SELECT tablename FROM pg_tables")}
        assert any(table in found for found in tables), (name, sorted(tables)[:20])


def test_the_worker_waits_at_its_pool(stack):
    workers = httpx.post(f"{stack.url('prefect')}/api/work_pools/onnxyard/workers/filter", json={})
    assert [worker["status"] for worker in workers.json()] == ["ONLINE"]


def test_a_drift_check_runs_with_the_worker_s_environment(stack, endpoint):
    environ = {key: stack.here(value) for key, value in SERVICES["worker"]["environment"].items()}
    command = [str(BIN / "onnxyard"), "monitor", endpoint, "--json"]
    done = subprocess.run(
        command, env=environ | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"verdict": "undecided"' in done.stdout


def test_everything_stops_when_told_to(stack):
    """Last in this file: it ends what the tests above used."""
    codes = stack.stop()
    assert all(code in {0, -signal.SIGTERM, 128 + signal.SIGTERM} for code in codes.values()), codes
