"""The wheel in empty environments, far from the repository: the light core alone, and init + run."""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "mlflow",
    "prefect",
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "uvicorn",
    "evidently",
    "pandas",
    "psycopg",
}
STATED = {"numpy", "onnx", "onnxruntime", "pydantic", "rich", "typer"}


class Environment:
    """An empty virtual environment in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("ONNXYARD_", "PYTHON", "VIRTUAL_ENV"))}
        self.environ["HOME"] = str(folder / "home")
        (folder / "home").mkdir()

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{arguments} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def install(self, requirement: str) -> None:
        self.run(
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-c",
            str(ROOT / "constraints.txt"),
            requirement,
        )

    def distributions(self) -> set[str]:
        listed = json.loads(self.run("-m", "pip", "list", "--format=json", "--disable-pip-version-check").stdout)
        return {re.sub(r"[-_.]+", "-", entry["name"]).lower() for entry in listed}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


def test_the_light_core_installs_and_imports_no_more_than_it_says(wheel, environment):
    environment.install(str(wheel))
    assert environment.distributions() & HEAVY == set()
    assert environment.distributions() >= STATED
    assert "0.1.0" in environment.run("-m", "onnxyard.cli", "--version").stdout
    assert "tour" in environment.run("-m", "onnxyard.cli", "--help").stdout
    environment.run("-m", "onnxyard.cli", "init", "mine", "--template", "digits")
    told = environment.run("-m", "onnxyard.cli", "run", "mine", "--json", code=3)
    assert json.loads(told.stdout)["error"]["context"]["extra"] == "platform"
    assert "onnxyard[platform]" in told.stderr


def test_the_wheel_carries_a_project_to_live_in_another_folder(wheel, environment):
    environment.install(f"onnxyard[platform] @ {wheel.as_uri()}")
    home = environment.folder / "home"
    by_pip = set(home.iterdir())  # its cache, and what it makes by asking which compilers there are
    environment.run("-m", "onnxyard.cli", "init", "mine", "--template", "tabular")
    document = json.loads(environment.run("-m", "onnxyard.cli", "run", "mine", "--json").stdout)
    assert document["status"] == "live"
    assert document["generation"] == 1
    assert {path.name for path in environment.folder.iterdir()} == {"venv", "home", "mine"}
    assert set(home.iterdir()) == by_pip


def test_the_serving_extra_is_slim(wheel, environment):
    environment.install(f"onnxyard[serving] @ {wheel.as_uri()}")
    assert environment.distributions() & {"torch", "mlflow", "prefect", "alembic", "evidently", "pandas"} == set()
    told = environment.run("-m", "onnxyard.cli", "serve", "--help")
    assert "--port" in told.stdout
