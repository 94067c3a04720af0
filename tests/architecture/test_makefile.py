"""What `make` says on a machine that lacks something: what is missing, and the command that mends it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(folder: Path, *, lacks: str) -> Path:
    """A Python that fails when it is asked for `lacks`, and is the real one otherwise."""
    script = folder / "some-python"
    script.write_text(f'#!/bin/sh\ncase "$*" in *{lacks}*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return script


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "Makefile", folder)
    command = ["make", "--silent", "-C", str(folder), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})


@pytest.mark.parametrize(
    ("lacks", "remedy"),
    [
        ("ensurepip", f"apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv"),
        ("'version_info < (3, 11)'", "needs Python 3.11 or newer"),
    ],
)
def test_a_python_that_will_not_do_is_named_with_its_remedy(tmp_path, lacks, remedy):
    done = make(tmp_path, ".venv/bin/pip", f"PYTHON={python(tmp_path, lacks=lacks)}")
    assert done.returncode != 0
    assert remedy in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_no_python_at_all_is_named_with_its_remedy(tmp_path):
    done = make(tmp_path, ".venv/bin/pip", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "no-such-python is missing" in done.stdout
    assert "apt-get install" in done.stdout


def test_help_lists_every_command(tmp_path):
    listed = make(tmp_path, "help").stdout
    assert all(f"make {name}" in listed for name in ("run", "up", "test", "check", "clean"))
