"""The house keeps its plan: what each root holds, and that no root shadows the standard library."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOTS = ["platform", "flows", "services", "migrations", "dashboards"]
SHIPPED = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def files(root: str) -> list[Path]:
    """Every source file below `root`, relative to the repository; compiled leftovers do not count."""
    found = (path.relative_to(ROOT) for path in (ROOT / root).rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)


def test_import_platform_stays_the_standard_library_from_the_repository_root():
    code = "import platform, sysconfig; print(platform.__file__); assert platform.python_version()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not Path(done.stdout.strip()).is_relative_to(ROOT)


def test_no_package_file_makes_platform_a_package():
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert not (ROOT / "tests" / "platform").exists()


@pytest.mark.parametrize("root", ROOTS)
def test_each_root_holds_only_what_the_wheel_ships(root):
    shipped = {Path(package) for package in SHIPPED}
    strays = [path for path in files(root) if not any(path.is_relative_to(package) for package in shipped)]
    allowed = [
        path for path in strays if root == "dashboards" and path.suffix == ".json"
    ]  # Grafana's, beside the package
    assert strays == allowed


def test_the_design_card_is_there():
    for name in (
        "pyproject.toml",
        "docker-compose.yml",
        "platform",
        "flows",
        "services",
        "migrations",
        "tests",
        "dashboards",
    ):
        assert (ROOT / name).exists(), name


def test_every_shipped_package_says_that_it_is_typed():
    for package in SHIPPED:
        assert (ROOT / package / "py.typed").exists(), package


def test_no_room_is_called_after_nothing():
    vague = {"utils", "util", "common", "base", "helpers", "misc", "core"}
    rooms = [path for root in ROOTS for path in files(root) if path.suffix == ".py"]
    assert rooms
    assert [path for path in rooms if vague & {part.removesuffix(".py") for part in path.parts}] == []
