"""Qualcomm's NPUs (HTP) as a plug-in of ONNX Runtime. On x86 it imitates their arithmetic: right answers, no speed."""

from __future__ import annotations

import platform
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from onnxyard.runtimes.providers.plug_in import PlugIn
from onnxyard.runtimes.providers.provider import FALLBACK, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

PLUG_IN = PlugIn(
    "QNNExecutionProvider",
    module="onnxruntime_qnn",
    package="onnxruntime-qnn",
    extra="qnn",
    takes="NPUs by Qualcomm, and x86 processors as their imitation",
    remedy="Run it on a machine with such an NPU, or on x86.",
)
ARM = frozenset({"arm64", "aarch64"})
"""Qualcomm's NPUs sit beside Arm cores."""


def emulated() -> bool:
    """Whether this machine can only imitate the NPU."""
    return platform.machine().lower() not in ARM


def _attach(options: ort.SessionOptions, _settled: Mapping[str, str], _threads: int) -> list[Any]:
    found = PLUG_IN.devices()
    npus = [each for each in found if each.device.type == ort.OrtHardwareDeviceType.NPU]
    options.add_provider_for_devices((npus or found)[:1], {"backend_type": "htp"})
    return []


QNN = Provider(
    name=PLUG_IN.name,
    options=MappingProxyType(dict(FALLBACK)),
    numeric=frozenset(FALLBACK),
    lack=PLUG_IN.lack,
    attach=_attach,
    package=PLUG_IN.package,
    devices=lambda: ("HTP, emulated",) if emulated() else tuple(each.ep_vendor for each in PLUG_IN.devices()),
    emulated=emulated(),
    fixed_shapes=True,
    prints=True,
)
