"""What the light core's commands import: onnx, onnxruntime, numpy, Typer, rich, pydantic, and nothing heavy."""

import os
import subprocess
import sys

import pytest

HEAVY = {
    "alembic",
    "evidently",
    "fastapi",
    "jinja2",
    "lightgbm",
    "mlflow",
    "onnxscript",
    "openvino",
    "pandas",
    "plotly",
    "prefect",
    "psycopg",
    "scipy",
    "skl2onnx",
    "sklearn",
    "skops",
    "sqlalchemy",
    "starlette",
    "torch",
    "uvicorn",
    "xgboost",
}


def imported_by(code: str) -> set[str]:
    report = f"import sys\n{code}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", report], check=True, capture_output=True, text=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import onnxyard, onnxyard.errors, onnxyard.settings, onnxyard.bootstrap",
        "from onnxyard.cli.main import build; build()",
        "import onnxyard.runtimes.onnxruntime, onnxyard.parity, onnxyard.project.project, onnxyard.tensors.files",
        "import onnxyard.diagnosis.blame.search, onnxyard.diagnosis.blame.samples, onnxyard.cli.blame_case",
    ],
    ids=["library", "command", "rooms", "blame"],
)
def test_nothing_heavy_is_imported(code):
    assert imported_by(code) & HEAVY == set()


def test_the_check_can_fail():
    assert "sqlalchemy" in imported_by("import sqlalchemy") & HEAVY


def test_no_runtime_writes_into_the_users_home(tmp_path):
    environ = {key: value for key, value in os.environ.items() if key not in {"ORT_DISABLE_TELEMETRY", "CI"}}
    code = "import onnxyard.runtimes.onnxruntime"
    subprocess.run([sys.executable, "-c", code], check=True, env=environ | {"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
