"""Models above 2 GB: the weights lie beside the graph, as one artifact with a digest for every file."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from modules import Table

from onnxyard.diagnosis.exporting import export_module
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import file_digest
from onnxyard.sources import saving

TOKENS = {"tokens": np.random.default_rng(0).integers(0, 100, (3, 5))}
_GIB = 1 << 30


def test_large_weights_lie_beside_the_graph(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "EXTERNAL_FROM_BYTES", 1000)
    proven = export_module(Table(100, 16), TOKENS, tmp_path / "out")
    assert proven.checked.holds
    artifact = Artifact.of_folder(tmp_path / "out")
    assert [file.path for file in artifact.files] == ["model.onnx", "model.onnx.data", "sidecar.json"]
    assert artifact.files[1].size_bytes >= 100 * 16 * 4
    model = onnx.load(tmp_path / "out" / "model.onnx", load_external_data=False)
    places = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    assert places == {"model.onnx.data"}


def test_a_folder_that_was_moved_as_a_whole_still_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "EXTERNAL_FROM_BYTES", 1000)
    export_module(Table(100, 16), TOKENS, tmp_path / "out", opset=17)
    before = Artifact.of_folder(tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    assert Artifact.of_folder(tmp_path / "elsewhere").digest == before.digest
    onnx.checker.check_model(str(tmp_path / "elsewhere" / "model.onnx"), full_check=True)


BIG = """
import json, re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from modules import Table
from onnxyard.diagnosis.exporting import export_module
tokens = {"tokens": np.random.default_rng(0).integers(0, 8_400_000, (3, 5))}
proven = export_module(Table(8_400_000, 64), tokens, Path(sys.argv[2]) / "out", opset=int(sys.argv[3]))
# Not ru_maxrss: that counts what the process that started this one held as well.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({"holds": proven.checked.holds, "exporter": proven.exported.exporter, "peak": peak}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("opset", [17, 20])
def test_a_real_model_of_more_than_two_gigabytes(tmp_path, opset):
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            [sys.executable, "-c", BIG, str(here), str(tmp_path), str(opset)],
            check=True,
            capture_output=True,
            text=True,
        )
        answer = json.loads(done.stdout)
        assert answer["holds"]
        assert answer["peak"] < 10 * _GIB
        artifact = Artifact.of_folder(tmp_path / "out")
        data = next(file for file in artifact.files if file.path == "model.onnx.data")
        assert data.size_bytes > 2 * _GIB
        assert data.sha256 == file_digest(tmp_path / "out" / "model.onnx.data")
        assert (tmp_path / "out" / "model.onnx").stat().st_size < 100_000
    finally:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)  # pytest would keep gigabytes
