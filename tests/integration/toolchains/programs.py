"""Programs that a worker runs in these tests; each misbehaves in a way of its own."""

# ruff: noqa: ARG001, T201 - a command's shape; printing is what some of them are for

import ctypes
import os
import signal
import subprocess
import sys
import time

import numpy as np

from onnxyard.errors import UserCodeError


def echo(given, tell):
    for number in range(given.get("times", 0)):
        tell({"step": number, "metrics": {"loss": 1 / (number + 1)}})
    return {"given": given, "pid": os.getpid(), "numpy": np.__version__}


def prints(given, tell):
    """To stdout, from Python, from C, and from a process of its own."""
    print('{"result": {"given": "forged"}}')
    sys.stdout.flush()
    libc = ctypes.CDLL(None)
    libc.puts(b'{"result": {"given": "forged"}}')
    libc.fflush(None)
    subprocess.run([sys.executable, "-c", "print('{}')"], check=True)
    return {"given": "honest"}


def refuses(given, tell):
    raise UserCodeError("The rows are wrong.", where="training.py:7 in train", remedy="Mend them.", rows=3)


def raises(given, tell):
    raise RuntimeError("a defect")


def crashes(given, tell):
    print("about to crash", file=sys.stderr)
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGSEGV)


def leaves(given, tell):
    os._exit(0)


def is_killed(given, tell):
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(given, tell):
    """With a child of its own, which must not outlive it."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    tell({"child": child.pid})
    time.sleep(600)


def babbles(given, tell):
    """Over the very pipe of the answers: its number is the one above stderr's and the requests'."""
    for number in range(3, 12):
        try:
            os.write(number, given["bytes"].encode())
        except OSError:
            continue
    time.sleep(600)


def floods(given, tell):
    for _ in range(given["megabytes"]):
        os.write(2, b"x" * (1 << 20))
    os.write(2, b"\nthe last words\n")
    if given["then"] == "die":
        os._exit(3)
    return {}


COMMANDS = {name: value for name, value in globals().items() if callable(value) and name.islower()}
