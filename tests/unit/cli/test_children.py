"""Processes started, watched and ended together; real ones, small."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from onnxyard.cli.children import Children, Service
from onnxyard.errors import UnreachableError

SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
STUBBORN_GRANDCHILD = """
import pathlib, signal, subprocess, sys, time
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""
NEVER = "http://127.0.0.1:1/"


def python(name: str, code: str, *arguments: str, health: str = NEVER, after: tuple[str, ...] = ()) -> Service:
    return Service(name, (sys.executable, "-c", code, *arguments), health, {}, after)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(holds, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        threading.Event().wait(0.02)
    return False


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_each_starts_when_those_before_it_are_ready(tmp_path, unused_port):
    server = python("server", SERVER, str(unused_port), health=f"http://127.0.0.1:{unused_port}/")
    asks = f"import urllib.request; urllib.request.urlopen('{server.health}')"
    client = python("client", asks, health="", after=("server",))
    said = []
    with Children(logs=tmp_path / "logs", folder=tmp_path) as children:
        assert children.bring_up((client, server), ready=lambda s: said.append(s.name), stop=lambda: False)
    assert said == ["server", "client"]


def test_one_that_ends_is_named_with_its_last_lines(tmp_path):
    dying = python("dying", "print('what went wrong'); raise SystemExit(3)")
    staying = python("staying", "import time; time.sleep(600)")
    with pytest.raises(UnreachableError) as caught, Children(logs=tmp_path, folder=tmp_path) as children:
        children.bring_up((staying, dying), ready=lambda _: None, stop=lambda: False)
    assert "dying ended with exit code 3" in caught.value.detail
    assert caught.value.facts["problems"] == ["what went wrong"]
    assert caught.value.where == str(tmp_path / "dying.log")


def test_one_that_is_killed_later_is_named_too(tmp_path, unused_port):
    server = python("server", SERVER, str(unused_port), health=f"http://127.0.0.1:{unused_port}/")
    with Children(logs=tmp_path, folder=tmp_path) as children:
        assert children.bring_up((server,), ready=lambda _: None, stop=lambda: False)
        (_, process) = children._running["server"]
        process.send_signal(signal.SIGKILL)
        with pytest.raises(UnreachableError, match="server was ended by SIGKILL"):
            children.watch(stop=lambda: False)


def test_what_they_started_ends_with_them_even_in_a_session_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxyard.cli.children.STOP_SECONDS", 1.0)
    note = tmp_path / "pid"
    with Children(logs=tmp_path, folder=tmp_path) as children:
        parent = python("parent", STUBBORN_GRANDCHILD, str(note))
        assert not children.bring_up((parent,), ready=lambda _: None, stop=lambda: note.exists() and note.read_text())
        grandchild = int(note.read_text())
        assert lives(grandchild)
    assert eventually(lambda: not lives(grandchild))


def test_they_run_where_they_are_told_with_what_they_are_given(tmp_path):
    code = "import os; print(os.getcwd(), os.environ['GIVEN'])"
    service = Service("said", (sys.executable, "-c", code), "", {"GIVEN": "this"})
    with Children(logs=tmp_path / "logs", folder=tmp_path) as children:
        assert children.bring_up((service,), ready=lambda _: None, stop=lambda: False)
    assert children.log("said").read_text().split() == [os.path.realpath(tmp_path), "this"]
