"""A replica over a real home: stepped by hand, or answering over HTTP in a thread of the test's process."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn

from onnxyard_serving.app import create_app
from onnxyard_serving.compose import Replica
from serving_home import ServingHome


@pytest.fixture
def home(tmp_path):
    return ServingHome(tmp_path / "home", tmp_path / "scratch")


@pytest.fixture
def new_replica(home):
    """Make replicas that follow only when told: `replica.follower.follow()`."""
    made = []

    def make(**options):
        replica = Replica(home.settings, url="http://127.0.0.1:1", **options)
        made.append(replica)
        return replica

    yield make
    for replica in made:
        release(replica)


def release(replica):
    """Let go of a replica whose threads were never started."""
    replica.workers.shutdown()
    replica._log.close()
    if replica._registry is not None:
        replica._registry.close()
    replica._cache.release()


@contextmanager
def answering(home, **options):
    """A replica behind real HTTP; gives the replica and its URL, after its first look at the registry."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        replica = Replica(home.settings, url=url, **options)
        server = uvicorn.Server(uvicorn.Config(create_app(replica), log_level="warning", ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert replica.follower.first_pass.wait(30)
            yield replica, url
        finally:
            server.should_exit = True
            thread.join(30)


class Client:
    """A kept-alive connection that speaks JSON."""

    def __init__(self, url):
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def call(self, method, path, body=None, **headers):
        """The status, the headers and the document of an answer."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        self._connection.request(method, path, content, sent)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())

    def infer(self, endpoint, x, **members):
        """Ask with the rows `x` [n, 4]."""
        tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
        return self.call("POST", f"/v2/models/{endpoint}/infer", {"inputs": [tensor], **members})

    def close(self):
        self._connection.close()


@pytest.fixture
def client_of():
    """Make clients that are closed at the end."""
    made = []

    def make(url):
        made.append(Client(url))
        return made[-1]

    yield make
    for client in made:
        client.close()


def open_client(url):
    """A client for a `with` block."""
    return closing(Client(url))
