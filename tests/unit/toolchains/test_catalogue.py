import re
import subprocess
import sys
from pathlib import Path

import pytest

from onnxyard.cli.exits import exit_code
from onnxyard.errors import NotFoundError
from onnxyard.project.file import PACKAGES
from onnxyard.sources.jax.source import JAX
from onnxyard.sources.keras.source import KERAS
from onnxyard.toolchains.catalogue import catalogue, known

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", catalogue())
def test_every_version_is_exact(name):
    toolchain = known(name)
    assert toolchain.requirements
    for requirement in toolchain.requirements:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][A-Za-z0-9.]*", requirement), requirement
    assert set(toolchain.shown) <= set(toolchain.versions)
    assert toolchain.imports
    assert toolchain.title


def test_every_framework_without_packages_here_has_its_toolchain():
    isolated = {"keras": KERAS, "jax": JAX}
    assert {name for name, packages in PACKAGES.items() if not packages} == set(isolated)
    for source in isolated.values():
        assert source.toolchain in catalogue()
        assert source.program.is_file()


def test_nothing_of_a_toolchain_is_among_our_own_packages():
    ours = (ROOT / "constraints.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    found = re.findall(r'(?m)^\s*"?([A-Za-z0-9_.-]+)(?=[=<>~! \[;"])', ours)
    names = {name.lower().replace("_", "-") for name in found}
    assert "numpy" in names
    for toolchain in catalogue().values():
        assert set(toolchain.shown) & names == set()


def test_this_side_of_a_source_imports_nothing_of_its_framework():
    code = "import sys; from onnxyard.sources.keras.source import KERAS; from onnxyard.sources.jax.source import JAX"
    told = "print(sorted({'keras', 'tensorflow', 'jax', 'tf2onnx', 'jax2onnx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{code}; {told}"], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_both_sides_read_tensors_with_the_same_releases():
    """Tensors go between as ONNX messages and numpy arrays."""
    for toolchain in catalogue().values():
        assert {"numpy", "onnx"} <= set(toolchain.versions)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(NotFoundError, match="cobol") as caught:
        known("cobol")
    assert exit_code(caught.value) == 4
    assert "tensorflow" in caught.value.remedy
