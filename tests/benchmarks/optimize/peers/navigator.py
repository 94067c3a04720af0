"""What Triton Model Navigator chooses for the exported model on the CPU, in an environment of its own.

It does not install from the package index alone: it depends on tensorrt, whose packages fetch the real ones from
NVIDIA's own index, on nvidia-modelopt and on onnxruntime-gpu. `navigator.txt` is a resolved environment without them,
with onnxruntime in their place. Of a torch module it chooses nothing there: its torch runners wait for the GPU after
each call, whatever the target device is, and fail with "Torch not compiled with CUDA enabled". So it is given the ONNX
file, of which it can time one thing on a CPU: ONNX Runtime.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.optimize.peers.peer import Peer
from onnxyard.errors import UnsupportedModelError
from onnxyard.tensors.files import write_tensors
from onnxyard.toolchains.environment import surroundings

if TYPE_CHECKING:
    from benchmarks.optimize.contestants import Contestant
    from benchmarks.optimize.shipping import Shipped

_PACKAGES = Path(__file__).with_name("navigator.txt")
_ROWS = 32


def navigated(shipped: Shipped, home: Path, scratch: Path) -> Contestant:
    """Each of its processes searches, and then answers with the runner that was chosen.

    Raises:
        UnsupportedModelError: its environment cannot be made.
    """
    from benchmarks.optimize.contestants import NAVIGATOR, Contestant  # noqa: PLC0415 - which knows this module

    python = _environment(home / "toolchains" / "model-navigator")
    rows = scratch / "navigator-rows"
    split = shipped.project.functions().data().completed(shipped.project.file.develop.seed).calibration
    write_tensors(rows, split.take(_ROWS).inputs)
    given = {"file": str(shipped.model), "rows": str(rows), "workspace": str(shipped.folder / "navigator")}
    return Contestant(
        NAVIGATOR,
        lambda: Peer("navigator", given, scratch=scratch, python=python, environ=surroundings({})),
        "of the exported model, for the CPU",
    )


def _environment(folder: Path) -> Path:
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, "-r", str(_PACKAGES)]):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise UnsupportedModelError(f"its environment cannot be made: {ran.stderr.strip()[-300:]}")
        done.touch()
    return python
