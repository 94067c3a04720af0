"""Providers that some builds of ONNX Runtime have and others lack: of other systems, processors and GPUs."""

from __future__ import annotations

import platform
from types import MappingProxyType

import onnxruntime as ort

from onnxyard.runtimes.providers.lack import Lack
from onnxyard.runtimes.providers.provider import FALLBACK, Provider


def _built_in(name: str, system: str, needs: str, remedy: str) -> Provider:
    """A provider that is here where this build has it.

    Args:
        name: As ONNX Runtime has it.
        system: The only system that it is for, as `platform.system()` says it; empty for several.
        needs: What it runs on, in words.
        remedy: How to get a build that has it, on a machine that fits.
    """

    def lack() -> Lack | None:
        if system and platform.system() != system:
            return Lack(f"{name} needs {needs}, and this is {platform.system()}.", f"Run it on a machine with {needs}.")
        if name not in ort.get_available_providers():
            return Lack(f"{name} is not in this build of ONNX Runtime {ort.__version__}; it runs on {needs}.", remedy)
        return None

    return Provider(
        name=name,
        options=MappingProxyType(dict(FALLBACK)),
        numeric=frozenset(FALLBACK),
        lack=lack,
        attach=lambda _options, _settled, _threads: [name],
        devices=lambda: (needs,),
    )


BUILT_IN = (
    _built_in(
        "DmlExecutionProvider",
        "Windows",
        "Windows with a DirectX 12 GPU",
        "Put onnxruntime-directml in the place of onnxruntime, in an environment of its own.",
    ),
    _built_in("CoreMLExecutionProvider", "Darwin", "macOS", "Take onnxruntime's own wheel for macOS."),
    _built_in(
        "MIGraphXExecutionProvider",
        "Linux",
        "Linux with an AMD GPU and ROCm",
        "Put onnxruntime-migraphx in the place of onnxruntime, in an environment of its own.",
    ),
    _built_in(
        "ROCMExecutionProvider",
        "Linux",
        "Linux with an AMD GPU and ROCm",
        "Take MIGraphXExecutionProvider: ONNX Runtime gave this one up.",
    ),
    _built_in(
        "DnnlExecutionProvider", "", "x86 and Arm processors", "Build ONNX Runtime with --use_dnnl, or take OpenVINO."
    ),
    _built_in("XnnpackExecutionProvider", "", "Arm and x86 processors", "Build ONNX Runtime with --use_xnnpack."),
)
"""None of them was at hand to compare answers on: their interface and refusals are tested, their arithmetic is not."""
