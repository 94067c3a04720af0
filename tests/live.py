"""A template carried to a live endpoint by the real commands: init, run, serve; asked by a V2 client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tritonclient.http as triton

from onnxyard.bootstrap import Yard
from onnxyard.cli.workbench import bench
from onnxyard.project.processing import load_processing
from onnxyard.project.project import Project, load_project
from onnxyard.settings import Settings
from onnxyard.sources.by_name import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

ONNXYARD = [sys.executable, "-m", "onnxyard.cli"]
DATATYPES = {"FLOAT": "FP32", "DOUBLE": "FP64", "FLOAT16": "FP16", "STRING": "BYTES"}
DATATYPES |= {name: name for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL")}


@dataclass(frozen=True)
class Live:
    """A project that answers.

    Attributes:
        root: The project's folder.
        home: The folder that holds all state.
        document: What `onnxyard run --json` printed.
        url: The replica's address.
    """

    root: Path
    home: Path
    document: dict[str, Any]
    url: str

    @cached_property
    def project(self) -> Project:
        return load_project(self.root)

    def rows(self, count: int) -> dict[str, np.ndarray]:
        """Raw rows of the test split, which no stage but validate's gates has seen."""
        return dict(self.project.functions().data().test.take(count).inputs)

    def by_framework(self, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the source framework itself answers: preprocess, its own model, postprocess."""
        yard = Yard(Settings.read(home=self.home))
        with bench(yard, self.project) as on:
            processing = load_processing(on.export_request().processing)
            model = source_of(on.project).load(on.project, on.folder / "fitted")
            return processing.after(model.run(processing.before(raw)))

    def ask(self, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The endpoint's answer by tritonclient over REST, JSON tensors."""
        name = str(self.document["endpoint"])
        client = triton.InferenceServerClient(urlsplit(self.url).netloc, network_timeout=60, connection_timeout=60)
        try:
            metadata = client.get_model_metadata(name)
            wanted = {each["name"]: each["datatype"] for each in metadata["inputs"]}
            inputs = []
            for key, values in raw.items():
                one = triton.InferInput(key, list(values.shape), wanted[key])
                array = values.astype(object) if wanted[key] == "BYTES" else values
                inputs.append(one.set_data_from_numpy(array, binary_data=False))
            outputs = [triton.InferRequestedOutput(each["name"], binary_data=False) for each in metadata["outputs"]]
            answer = client.infer(name, inputs, outputs=outputs)
            return {each["name"]: answer.as_numpy(each["name"]) for each in metadata["outputs"]}
        finally:
            client.close()


@contextmanager
def live(
    template: str, folder: Path, *, home: Path | None = None, edit: Callable[[Path], None] | None = None
) -> Iterator[Live]:
    """Make a project of the template below `folder`, run it, serve it; ends the replica with the block.

    Args:
        template: The template's name, also the project's.
        folder: Holds the project and its home.
        home: Where its state goes; `.onnxyard` in the project by default.
        edit: Changes the project's files before it runs.
    """
    root = folder / template
    home = home or root / ".onnxyard"
    at = ["--json", "--home", str(home)]
    subprocess.run([*ONNXYARD, "init", str(root), "--template", template], check=True, capture_output=True)
    if edit is not None:
        edit(root)
    done = subprocess.run([*ONNXYARD, "run", str(root), *at], check=False, capture_output=True)
    assert done.returncode == 0, f"{done.stdout.decode()}\n{done.stderr.decode()}"
    serve = [*ONNXYARD, "serve", "--port", "0", *at]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as replica:
        try:
            line = replica.stdout.readline() if replica.stdout else ""
            assert line, replica.stderr.read() if replica.stderr else ""
            yield Live(root, home, json.loads(done.stdout), json.loads(line)["url"])
        finally:
            replica.send_signal(signal.SIGTERM)
            replica.wait(30)
