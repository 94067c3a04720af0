"""What can be tuned of a session, whichever provider runs it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIMIZATION: Mapping[str, tuple[str, ...]] = MappingProxyType({"optimization": ("all", "extended", "basic", "off")})
"""How far the graph is rewritten at load. It changes answers: other orders of sums, and int8 kernels for QDQ pairs."""
CPU_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **OPTIMIZATION,
        "spinning": ("on", "off"),  # threads that wait for work burn their core, and answer sooner
        "arena": ("on", "off"),  # memory is kept from call to call
        "memory_pattern": ("on", "off"),  # one allocation per call, planned from the last one's shapes
        "execution": ("sequential", "parallel"),  # whether branches of the graph run side by side
    }
)
"""Flushing of denormals is not among them: the first session of a process decides for all that follow."""
CPU_NUMERIC = frozenset({"optimization"})

_FATAL = 4
"""ORT's own log level: everything it logs below it also comes back as an exception or is read from the session."""
_LEVELS = {
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_FLAGS = {"on": "1", "off": "0"}


def session_options(settled: Mapping[str, str], threads: int) -> ort.SessionOptions:
    """Silent session options with what was settled of `CPU_OPTIONS`; what is not named stays ONNX Runtime's default.

    Args:
        settled: Values by option; options of providers are left to them.
        threads: Intra-op threads; 0 lets ORT choose. Branches that run side by side get as many.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = _LEVELS[settled.get("optimization", "all")]
    options.enable_cpu_mem_arena = settled.get("arena") != "off"
    options.enable_mem_pattern = settled.get("memory_pattern") != "off"
    if settled.get("execution") == "parallel":
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
        options.inter_op_num_threads = threads
    if "spinning" in settled:
        options.add_session_config_entry("session.intra_op.allow_spinning", _FLAGS[settled["spinning"]])
        options.add_session_config_entry("session.inter_op.allow_spinning", _FLAGS[settled["spinning"]])
    return options
