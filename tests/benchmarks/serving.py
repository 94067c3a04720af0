"""What serving costs beyond the model itself. Run it on a quiet machine:

    python tests/benchmarks/serving.py [--requests 2000]

Two small models, each asked in turn in-process (`session.run`) and over HTTP (JSON, one kept-alive connection), so that
whatever else the machine does meets both alike. Prints p50s, their ratio, and the server's CPU time per request.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import onnx
import onnxruntime
import psutil
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script: beside it lies what the tests share
from serving_home import ServingHome

WARM_UP = 200


def dense(width: int, hidden: int, classes: int) -> onnx.GraphProto:
    """A two-layer MLP on `x` [batch, width]."""
    random = np.random.default_rng(1)
    sizes = {"w1": (width, hidden), "w2": (hidden, classes)}
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w1"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "w2"], ["y"]),
        ],
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(random.normal(size=size).astype(np.float32), name) for name, size in sizes.items()],
    )


MODELS = {"mlp-30-64-2": (30, 64, 2), "wide-12288-64-10": (12288, 64, 10)}
"""The second one's input is as large as a 3x64x64 image."""


def measure(url: str, process: psutil.Process, name: str, session: onnxruntime.InferenceSession, requests: int) -> None:
    """Print one model's row."""
    width = MODELS[name][0]
    x = np.random.default_rng(2).normal(size=(1, width)).astype(np.float32)
    tensor = {"name": "x", "shape": [1, width], "datatype": "FP32", "data": x.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]})
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def over_http() -> None:
        connection.request("POST", f"/v2/models/{name}/infer", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(content.decode())

    samples: dict[str, list[float]] = {"direct": [], "http": []}
    used = 0.0
    for number in range(WARM_UP + requests):
        if number == WARM_UP:
            used = sum(process.cpu_times()[:2])
        began = time.perf_counter()
        session.run(None, {"x": x})
        between = time.perf_counter()
        over_http()
        if number >= WARM_UP:
            samples["direct"].append(between - began)
            samples["http"].append(time.perf_counter() - between)
    used = sum(process.cpu_times()[:2]) - used
    connection.close()
    direct, served = (statistics.median(samples[way]) * 1e6 for way in ("direct", "http"))
    _say(f"{name:20} {direct:12.1f} {served:12.1f} {served / direct:8.1f} {used / requests * 1e6:22.0f}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Make a home, serve it, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    requests = parser.parse_args().requests
    with tempfile.TemporaryDirectory(prefix="onnxyard-benchmark-") as folder:
        home = ServingHome(Path(folder) / "home", Path(folder) / "scratch")
        sessions = {}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        for name, (width, hidden, classes) in MODELS.items():
            graph = dense(width, hidden, classes)
            home.add_version(name, graph, {"x": np.zeros((4, width), dtype=np.float32)})
            home.promote(name, 1)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
            sessions[name] = onnxruntime.InferenceSession(model.SerializeToString(), options)
        began = time.perf_counter()
        command = [sys.executable, "-m", "onnxyard.cli", "serve", "--port", "0", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | home.environ, text=True) as server:
            line = server.stdout.readline() if server.stdout else ""
            _say(f"first start to ready, two models rehearsed: {time.perf_counter() - began:.2f} s")
            _say(f"{'model':20} {'direct µs':>12} {'HTTP µs':>12} {'ratio':>8} {'server CPU µs/request':>22}")
            for name, session in sessions.items():
                measure(json.loads(line)["url"], psutil.Process(server.pid), name, session, requests)
            server.terminate()
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | home.environ, text=True) as server:
            line = server.stdout.readline() if server.stdout else ""
            _say(f"restart to ready, from the replica's cache: {time.perf_counter() - began:.2f} s")
            server.terminate()


if __name__ == "__main__":
    main()
