"""Which extra brings which package, so that a missing one is named instead of an ImportError."""

from __future__ import annotations

from onnxyard.errors import MissingExtraError

EXTRA_OF = {
    "alembic": "platform",
    "distributed": "dask",
    "evidently": "monitoring",
    "fastapi": "serving",
    "iree": "iree",
    "jinja2": "dashboard",
    "lightgbm": "trees",
    "mlflow": "platform",
    "nncf": "runtimes",
    "nnef": "nnef",
    "nnef_tools": "nnef",
    "onnxruntime_ep_openvino": "runtimes",
    "onnxruntime_qnn": "qnn",
    "onnxscript": "optimize",
    "onnxslim": "optimize",
    "openvino": "runtimes",
    "optuna": "optimize",
    "pandas": "monitoring",
    "plotly": "dashboard",
    "prefect": "platform",
    "psycopg": "platform",
    "safetensors": "torch",
    "scipy": "monitoring",
    "skl2onnx": "trees",
    "sklearn": "trees",
    "skops": "trees",
    "sqlalchemy": "platform",
    "torch": "torch",
    "uvicorn": "serving",
    "xgboost": "trees",
}


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The same fact, told with the extra that mends it; None where no extra of ours brings the module."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(package)
    if extra is None:
        return None
    return MissingExtraError(
        f"This command needs {package}, which is not installed.",
        remedy=f"Install it with: pip install 'onnxyard[{extra}]'",
        extra=extra,
        package=package,
    )
