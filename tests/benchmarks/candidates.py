"""Is int8 faster here? Interleaved latencies of the digits model's candidates, as ratios to fp32.

    python tests/benchmarks/candidates.py [--repeats 2000]

Not a test: figures belong to the machine that printed them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxyard
from onnxyard.project.processing import load_processing
from onnxyard.project.project import load_project
from onnxyard.runtimes.machine import describe
from onnxyard.runtimes.runtime import runtime_named
from onnxyard.stages.develop.request import DevelopRequest
from onnxyard.stages.develop.stage import run as develop
from onnxyard.stages.export.request import ExportRequest
from onnxyard.stages.export.stage import run as export
from onnxyard.stages.latency import measure
from onnxyard.stages.optimize.candidates import first_rows, make_all

DIGITS = Path(onnxyard.__file__).parent / "templates" / "digits"
TARGETS = (("onnxruntime", "CPUExecutionProvider"), ("openvino", "CPU"))


def main() -> None:
    """Train, export, make every candidate once, and time them side by side at three batch sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000, help="timed calls per candidate and batch size")
    repeats = parser.parse_args().repeats
    out = sys.stdout.write
    out(f"{describe()}\n")
    project = load_project(DIGITS)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for stage in ("develop", "export"):
            (root / stage).mkdir()
        developed = develop(DevelopRequest(project), root / "develop")
        processing_folder = root / "develop" / "processing"
        export(
            ExportRequest(
                project, developed, root / "develop" / "fitted", root / "develop" / "golden_set", processing_folder
            ),
            root / "export",
        )
        splits, processing = project.functions().data(), load_processing(processing_folder)
        source = root / "export" / "model" / "model.onnx"
        made = make_all(project.file.optimize.recipes, source, root / "made", splits.calibration, processing)
        out(f"{'':24} {'batch':>5} {'p50 ms':>9} {'p99 ms':>9} {'/ fp32':>7}\n")
        for rows in (1, 8, 32):
            inputs = first_rows(splits.validation, processing, rows)
            models = {
                f"{runtime} {one.recipe}": runtime_named(runtime).load(one.file, provider=provider, threads=1)
                for runtime, provider in TARGETS
                for one in made
                if one.file is not None and not (runtime == "openvino" and one.recipe == "int8-dynamic")
            }
            timed = measure(models, inputs, repeats=repeats, seed=0)
            base = timed["onnxruntime fp32"].p50_ms
            for name, latency in timed.items():
                out(f"{name:24} {rows:5} {latency.p50_ms:9.4f} {latency.p99_ms:9.4f} {latency.p50_ms / base:7.2f}\n")


if __name__ == "__main__":
    main()
