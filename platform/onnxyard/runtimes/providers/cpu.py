"""The CPU provider, which every ONNX Runtime has."""

from __future__ import annotations

from onnxyard.runtimes.providers.provider import Provider
from onnxyard.runtimes.providers.sessions import CPU_NUMERIC, CPU_OPTIONS

CPU = Provider(
    name="CPUExecutionProvider",
    options=CPU_OPTIONS,
    numeric=CPU_NUMERIC,
    lack=lambda: None,
    attach=lambda _options, _settled, _threads: ["CPUExecutionProvider"],
    devices=lambda: ("CPU",),
)
