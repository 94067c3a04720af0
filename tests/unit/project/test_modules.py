import sys

import pytest

from onnxyard.errors import MissingExtraError, UserCodeError
from onnxyard.project.modules import load_module, siblings_of
from onnxyard.project.project import load_project


def test_siblings_can_be_imported_and_nothing_is_left_behind(write):
    root = write(
        code=(
            "import layers\nfrom parts.head import SIZE\n\n"
            "def metrics(t, o):\n    import late\n    return {'m': late.x}\n"
        ),
        layers_py="x = 1\n",
        late_py="x = 2.0\n",
    )
    (root / "parts").mkdir()
    (root / "parts" / "__init__.py").write_text("")
    (root / "parts" / "head.py").write_text("SIZE = 3\n")
    path, finders = list(sys.path), list(sys.meta_path)
    functions = load_project(root).functions()
    assert functions.module.SIZE == 3
    assert functions.metrics([], {}) == {"m": 2.0}
    assert (sys.path, sys.meta_path) == (path, finders)
    assert list(root.rglob("__pycache__")) == []


def test_a_change_in_a_sibling_is_seen_in_the_same_process(write):
    root = write(code="import layers\nx = layers.x\n", layers_py="x = 1\n")
    assert load_project(root).functions().module.x == 1
    (root / "layers.py").write_text("x = 2\n")
    assert load_project(root).functions().module.x == 2


def test_two_projects_do_not_share_a_sibling(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.py").write_text("import shared\nx = shared.x\n")
        (tmp_path / name / "shared.py").write_text(f"x = {name!r}\n")
    assert [load_module(tmp_path / name / "main.py", digest="1").x for name in "ab"] == ["a", "b"]


def test_a_folder_does_not_hide_an_installed_package(tmp_path):
    (tmp_path / "wave").mkdir()
    sys.modules.pop("wave", None)
    with siblings_of(tmp_path):
        import wave  # noqa: PLC0415 - the import is the test
    assert wave.__file__


def test_the_module_runs_once_per_state_of_the_code(write):
    root = write(code="runs = []\n")
    project = load_project(root)
    assert project.functions().module is load_project(root).functions().module
    (root / "toy.py").write_text("runs = [1]\n")
    assert load_project(root).functions().module.runs == [1]


@pytest.mark.parametrize(
    ("code", "where", "detail"),
    [
        ("x = 1\ndef f(:\n", "toy.py:2", "SyntaxError"),
        ("x = 1\n\nx / 0\n", "toy.py:3 in <module>", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", "toy.py:2 in <module>", "SystemExit: 3"),
        ("import nothing_like_it\n", "toy.py:1 in <module>", "No module named 'nothing_like_it'"),
    ],
)
def test_a_module_that_fails_to_load_says_where(write, code, where, detail):
    with pytest.raises(UserCodeError) as caught:
        load_project(write(code=code)).functions()
    assert caught.value.where == where
    assert detail in caught.value.detail


def test_a_missing_framework_names_the_extra(write):
    code = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    with pytest.raises(MissingExtraError, match=r"onnxyard\[torch\]"):
        load_project(write(code=code)).functions()
