"""`onnxyard serve` as a process: how it starts, what it imports, how it ends, and what it does without a registry."""

import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest

from serving_home import ServingHome, scaled

DEADLINE_SECONDS = 30
SERVE = ("from onnxyard.cli.main import main", "main()")
X = np.array([[1, 2, 3, 4]], dtype=np.float32)


@pytest.fixture
def home(tmp_path):
    made = ServingHome(tmp_path / "home", tmp_path / "scratch")
    made.add_scaled(1)
    made.promote("scale", 1)
    return made


@contextmanager
def serving(home, *options, around=SERVE):
    """A serving process; gives it and its URL, after the line that says it is ready."""
    code = f"import sys; sys.argv = ['onnxyard', *sys.argv[1:]]\n{around[0]}\n{around[1]}"
    command = [sys.executable, "-c", code, "serve", "--json", "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | home.environ, text=True
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said = json.loads(line)
        assert said["pid"] == process.pid
        yield process, said["url"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
            process.stderr.close()


def call(connection, path, body=None):
    connection.request("GET" if body is None else "POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def ask(url, path, body=None):
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        return call(connection, path, body)


BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": X.ravel().tolist()}]})
INFER = "/v2/models/scale/infer"


def check_answer(url, version):
    status, document = ask(url, INFER, BODY)
    assert status == 200, document
    assert document["model_version"] == str(version)
    assert document["outputs"][0]["data"] == scaled(X, version).ravel().tolist()


def until(condition):
    """Look again until it holds."""
    pause, ends = threading.Event(), time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < ends, "it never came true"
        pause.wait(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_an_orderly_end_is_no_error(home, number):
    with serving(home) as (process, url):
        check_answer(url, 1)
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == 0
        assert process.stdout.read() == ""  # one line, and nothing else
        assert process.stderr.read() == ""


def test_people_get_a_line_with_the_url(home):
    command = [sys.executable, "-m", "onnxyard.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | home.environ, text=True) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    assert re.fullmatch(r"Serving on http://127\.0\.0\.1:\d+/v2 \(Ctrl-C stops\)\n", line)


def test_a_port_in_use_is_a_conflict_that_names_the_holder(home):
    with serving(home) as (_, url):
        port = url.rpartition(":")[2]
        command = [sys.executable, "-m", "onnxyard.cli", "serve", "--json", "--port", port]
        done = subprocess.run(command, capture_output=True, check=False, env=os.environ | home.environ, text=True)
    assert done.returncode == 5
    error = json.loads(done.stdout)["error"]
    assert re.fullmatch(rf"Port {port} of 127\.0\.0\.1 is in use by onnxyard .+\.", error["detail"])
    assert "--port 0" in error["context"]["remedy"]
    assert "Traceback" not in done.stderr


class Caller(threading.Thread):
    """Asks over one connection until the server is gone; keeps the request id of every answer."""

    def __init__(self, url):
        super().__init__()
        self._url = url
        self.answered = []
        self.refused = []

    def run(self):
        with closing(http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=10)) as connection:
            while True:
                try:
                    status, document = call(connection, INFER, BODY)
                except (OSError, http.client.HTTPException):
                    return
                if status == 200:
                    self.answered.append(document["parameters"]["request_id"])
                else:
                    self.refused.append(document)


def test_sigterm_under_load_loses_no_answer_and_no_record(home):
    with serving(home) as (process, url):
        callers = [Caller(url) for _ in range(4)]
        for caller in callers:
            caller.start()
        until(lambda: all(len(caller.answered) > 50 for caller in callers))
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    for caller in callers:
        caller.join(DEADLINE_SECONDS)
    assert [caller.refused for caller in callers] == [[]] * 4
    answered = [request_id for caller in callers for request_id in caller.answered]
    with closing(sqlite3.connect(home.settings.predictions)) as log:
        logged = [request_id for (request_id,) in log.execute("SELECT request_id FROM predictions")]
        [(gaps,)] = log.execute("SELECT max(sequence) - min(sequence) + 1 - count(*) FROM predictions")
    assert set(answered) == set(logged)
    assert len(answered) == len(logged)
    assert gaps == 0


def test_a_replica_imports_no_more_than_it_needs(home, tmp_path):
    modules = tmp_path / "modules.json"
    at_exit = f"atexit.register(lambda: open({str(modules)!r}, 'w').write(json.dumps(sorted(sys.modules))))"
    with serving(home, around=(f"import atexit, json\n{at_exit}\n{SERVE[0]}", SERVE[1])) as (process, url):
        check_answer(url, 1)
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_SECONDS)
    loaded = set(json.loads(modules.read_text()))
    heavy = {"mlflow", "prefect", "torch", "evidently", "pandas", "sklearn", "scipy", "alembic", "jinja2", "plotly"}
    assert {name.partition(".")[0] for name in loaded} & heavy == set()
    ours = ("onnxyard.stages", "onnxyard.recording", "onnxyard.bootstrap", "onnxyard_flows.lifecycle")
    assert {name for name in loaded if name.startswith(ours)} == set()
    assert "onnxyard.registry.database" in loaded  # the list is that of a replica that really followed


def test_without_a_database_driver_it_still_answers_from_its_cache(home):
    with serving(home) as (_, url):
        check_answer(url, 1)
    blocked = (f"sys.modules['sqlalchemy'] = None\n{SERVE[0]}", SERVE[1])
    with serving(home, around=blocked) as (_, url):
        check_answer(url, 1)
        _, ready = ask(url, "/v2/health/ready")
        assert ready["ready"]
        assert not ready["registry"]["reachable"]


@pytest.fixture
def switched_postgres(postgres_url):
    """A registry in PostgreSQL behind a switch: its URL, and a function that turns it on and off."""
    sockets = re.search(r"host=([^&]+)", postgres_url).group(1)
    folder = Path(tempfile.mkdtemp(prefix="onnxyard-switch-"))  # a socket's path must be short
    switch = folder / "on"
    database = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]

    def turn(on):
        if on:
            switch.symlink_to(sockets)
            return
        switch.unlink()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [database],
            )

    turn(on=True)
    yield postgres_url.replace(sockets, str(switch)), turn
    shutil.rmtree(folder)


def test_it_answers_without_a_registry_and_follows_when_it_comes_back(tmp_path, switched_postgres):
    url_of_registry, turn = switched_postgres
    home = ServingHome(tmp_path / "home", tmp_path / "scratch", url_of_registry)
    for factor in (1, 2, 3):
        home.add_scaled(factor)
    home.promote("scale", 1)
    with serving(home) as (_, url):
        check_answer(url, 1)
        turn(on=False)
        until(lambda: not ask(url, "/v2/health/ready")[1]["registry"]["reachable"])
        check_answer(url, 1)
        turn(on=True)
        home.promote("scale", 2)
        until(lambda: ask(url, INFER, BODY)[1]["model_version"] == "2")
    turn(on=False)
    with serving(home) as (_, url):  # nobody to ask from the very start
        check_answer(url, 2)
        status, ready = ask(url, "/v2/health/ready")
        assert (status, ready["ready"], ready["registry"]["reachable"]) == (200, True, False)
        assert "Serving the last good state." in ready["registry"]["message"]
        turn(on=True)
        home.promote("scale", 3)
        until(lambda: ask(url, INFER, BODY)[1]["model_version"] == "3")
        check_answer(url, 3)
        assert ask(url, "/v2/health/ready")[1]["registry"]["reachable"]


def test_a_new_replica_without_a_registry_is_alive_but_not_ready(tmp_path):
    nowhere = f"postgresql://nobody@/none?host={tmp_path}"
    home = ServingHome(tmp_path / "home", tmp_path / "scratch", nowhere)
    with serving(home) as (_, url):
        assert ask(url, "/v2/health/live")[0] == 200
        status, ready = ask(url, "/v2/health/ready")
        assert (status, ready["ready"]) == (503, False)
        with suppress(KeyError):
            assert "password" not in ready["registry"]["message"]
