"""ORT format: what a minimal build of ONNX Runtime reads on a device, and the list of kernels that build needs."""

from __future__ import annotations

import logging
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import onnxruntime as ort

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.compiled_form import CompiledForm
from onnxyard.runtimes.graph import read_graph
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials

CONFIG = "required_operators_and_types.config"
_ONE_PROCESSOR = ["NchwcTransformer"]
"""Blocks channels for the vector width of the machine that converts: nothing for the device that reads."""


@dataclass(frozen=True, slots=True)
class OrtFormat:
    """Save the optimized graph as `model.ort`; beside it the operators and types it needs, and `signature.json`.

    https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html, in the style `Fixed`: all
    optimizations are made now, for a minimal build makes none. The config is what ONNX Runtime's own build takes as
    `--include_ops_by_config` together with `--enable_reduced_operator_type_support`.
    """

    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`. Raises UnsupportedModelError where ONNX Runtime cannot load or save the model."""
        made = folder / "model.ort"
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(made)
        options.add_session_config_entry("session.save_model_format", "ORT")
        try:
            ort.InferenceSession(
                source, sess_options=options, providers=["CPUExecutionProvider"], disabled_optimizers=_ONE_PROCESSOR
            )
        except Exception as error:  # ORT raises plain Exception's children of its own, RuntimeError among them
            raise UnsupportedModelError(f"ONNX Runtime cannot save the model in ORT format: {error}") from error
        required = _required(made)
        (folder / CONFIG).write_text("".join(f"{line}\n" for line in required), encoding="utf-8")
        graph = read_graph(source)
        CompiledForm.of_graph(graph, made, tool=f"onnxruntime {ort.__version__}", nodes=graph.nodes).write(made)
        domains = {line.split(";")[0] for line in required}
        facts = {
            "operators required": f"{sum(map(_operators, required))} in {len(domains)} domains",
            "types required": ", ".join(sorted({kind for line in required for kind in _types(line)})) or "none",
        }
        return Transformed(made, changed=True, facts=facts)


def _required(made: Path) -> list[str]:
    """The config's lines, one for each domain and opset; without its comments, which name folders of this machine."""
    draft = made.with_name(CONFIG)
    with silence(), _handlers_kept(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unclosed file", category=ResourceWarning)  # it leaves one open
        from onnxruntime.tools.ort_format_model import create_config_from_models  # noqa: PLC0415 - it logs at import

        create_config_from_models([made], draft, enable_type_reduction=True)
    return [line for line in draft.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def _operators(line: str) -> int:
    """How many there are in `ai.onnx;13;Concat{"inputs": {"0": ["int64_t"]}},Unsqueeze`."""
    return len(re.sub(r"\{(?:[^{}]|\{[^{}]*\})*\}", "", line).split(","))


def _types(line: str) -> set[str]:
    """The types in it."""
    return set(re.findall(r'"([a-z]\w*)"(?!:)', line))


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """ONNX Runtime's tools put a handler on the root logger, where it has none, and log past the root's level."""
    root, noisy = logging.getLogger(), logging.getLogger("ort_format_model.utils")
    placeholder = logging.NullHandler()
    root.addHandler(placeholder)
    noisy.propagate = False
    try:
        yield
    finally:
        root.removeHandler(placeholder)
