"""Each heavy package is imported in one room, so that the room can be exchanged and the rest stays light."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = ["platform", "flows", "services", "migrations", "dashboards"]
ROOMS = {
    "mlflow": ["platform/onnxyard/recording/"],
    "evidently": ["services/onnxyard_monitoring/evidence.py"],
    "prefect": ["flows/onnxyard_flows/"],
    "sqlalchemy": ["platform/onnxyard/registry/", "migrations/onnxyard_migrations/"],
    "alembic": ["migrations/onnxyard_migrations/"],
    "fastapi": ["services/onnxyard_serving/", "services/onnxyard_control/", "dashboards/onnxyard_dashboard/"],
    "torch": [
        "platform/onnxyard/sources/torch/",
        "platform/onnxyard/diagnosis/",
        "platform/onnxyard/project/",
        "platform/onnxyard/templates/",
        "platform/onnxyard/runtimes/nnef.py",  # NNEF's interpreter is PyTorch
    ],
    "iree": ["platform/onnxyard/runtimes/iree.py"],
    "nnef_tools": ["platform/onnxyard/runtimes/nnef.py", "platform/onnxyard/stages/optimize/passes/nnef_convert.py"],
    "openvino": ["platform/onnxyard/runtimes/"],
    "skl2onnx": ["platform/onnxyard/sources/sklearn/"],
    "skops": ["platform/onnxyard/sources/sklearn/"],
    "xgboost": [
        "platform/onnxyard/sources/xgboost/",
        "platform/onnxyard/sources/sklearn/",
        "platform/onnxyard/templates/",
    ],
    "lightgbm": [
        "platform/onnxyard/sources/lightgbm/",
        "platform/onnxyard/sources/sklearn/",
        "platform/onnxyard/templates/",
    ],
    # Never in this environment: only what runs inside a toolchain imports them.
    "keras": ["platform/onnxyard/sources/keras/", "platform/onnxyard/templates/keras/training.py"],
    "tensorflow": ["platform/onnxyard/sources/keras/"],
    "tf2onnx": ["platform/onnxyard/sources/keras/"],
    "jax": ["platform/onnxyard/sources/jax/inside.py", "platform/onnxyard/templates/jax/training.py"],
    "jax2onnx": ["platform/onnxyard/sources/jax/inside.py"],
    "olive": ["platform/onnxyard/stages/optimize/passes/olive_inside.py"],
}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return {name.partition(".")[0] for name in names}


IMPORTS = {
    path.relative_to(ROOT).as_posix(): imports(path) for root in ROOTS for path in sorted((ROOT / root).rglob("*.py"))
}


@pytest.mark.parametrize("package", ROOMS)
def test_a_heavy_package_stays_in_its_room(package):
    users = [path for path, names in IMPORTS.items() if package in names]
    assert users, f"nothing imports {package}: is it still a dependency?"
    assert [path for path in users if not path.startswith(tuple(ROOMS[package]))] == []
