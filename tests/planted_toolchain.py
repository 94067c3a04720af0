"""A toolchain without an index: an environment that runs our own interpreter, and a wheel made on the spot."""

import json
import sys
import zipfile
from pathlib import Path

from onnxyard.settings import Settings
from onnxyard.toolchains.catalogue import Toolchain
from onnxyard.toolchains.environment import RECORD, Environment


def toolchain(**changes) -> Toolchain:
    fields = {"title": "a test", "megabytes": 1, "shown": (), "imports": (), "versions": {}, "variables": {}}
    return Toolchain(**{"name": "tiny", **fields, **changes})


def environment(home: Path, **changes) -> Environment:
    return Environment(toolchain(**changes), Settings.read(home=home, environ={}))


def plant(wanted: Environment) -> Environment:
    """Make it look installed; its interpreter is the one that runs the tests."""
    wanted.python.parent.mkdir(parents=True)
    wanted.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    wanted.python.chmod(0o755)
    (wanted.folder / RECORD).write_text(json.dumps({"versions": dict(wanted.toolchain.versions)}))
    return wanted


def wheel(folder: Path, version: str, *, body: str = "", requires: str = "") -> None:
    """Write `tinytool` as a wheel: one module, no build."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"tinytool-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: tinytool\nVersion: {version}\n"
    files = {
        "tinytool.py": f'VERSION = "{version}"\n{body}',
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"tinytool-{version}-py3-none-any.whl", "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
