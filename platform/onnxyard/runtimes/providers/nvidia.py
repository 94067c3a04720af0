"""NVIDIA's GPUs by CUDA and by TensorRT: ONNX Runtime's own build for them, in a toolchain of its own."""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import suppress
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from onnxyard.lifecycle.digest import digest_of
from onnxyard.runtimes.providers.lack import Lack
from onnxyard.runtimes.providers.provider import FALLBACK, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINES = "ONNXYARD_ENGINES"
"""The variable that says where TensorRT's engines and timings are kept; its toolchain sets it to a folder in it."""
_LIBRARIES = "tensorrt-cu13-libs"
_DRIVER = "libcuda.so.1"
_NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE."""
_FLAGS = {"on": "1", "off": "0"}
_SEARCH = {"exhaustive": "EXHAUSTIVE", "heuristic": "HEURISTIC", "default": "DEFAULT"}
_ARENA = {"grow": "kNextPowerOfTwo", "exact": "kSameAsRequested"}
_CUDA, _TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


class Driver:
    """The machine's NVIDIA driver, asked through its own library (CUDA driver API, cuInit and cuDeviceGet*)."""

    def __init__(self, library: str = _DRIVER) -> None:
        self._cuda = ctypes.CDLL(library)
        self._status = self._cuda.cuInit(0)

    def objection(self) -> Lack | None:
        """Why no GPU can be used; None where one can."""
        if self._status == _NO_DEVICE or (not self._status and not self.devices()):
            return Lack("The NVIDIA driver finds no GPU on this machine.", "Run it on a machine with an NVIDIA GPU.")
        if self._status:
            return Lack(
                f"The NVIDIA driver does not start: cuInit gives {self._status}.",
                "Install a driver that fits the GPU and the kernel; nvidia-smi must list the GPU.",
            )
        return None

    def devices(self) -> tuple[str, ...]:
        """The GPUs' names, with their compute capability, as `NVIDIA H100 (9.0)`."""
        count = ctypes.c_int()
        if self._status or self._cuda.cuDeviceGetCount(ctypes.byref(count)):
            return ()
        return tuple(self._name(at) for at in range(count.value))

    def _name(self, at: int) -> str:
        device, text = ctypes.c_int(), ctypes.create_string_buffer(256)
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._cuda.cuDeviceGet(ctypes.byref(device), at)
        self._cuda.cuDeviceGetName(text, len(text), device)
        for number, attribute in ((major, 75), (minor, 76)):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
            self._cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        return f"{text.value.decode()} ({major.value}.{minor.value})"


@cache
def driver() -> Driver | None:
    """This machine's; None where none is installed."""
    try:
        return Driver()
    except OSError:
        return None


def no_gpu() -> Lack | None:
    """Why this machine has no usable NVIDIA GPU; None where it has."""
    found = driver()
    if found is None:
        return Lack(
            f"There is no NVIDIA GPU on this machine, or no driver for it: {_DRIVER} is not there.",
            "Run it on a machine with an NVIDIA GPU and NVIDIA's driver (580 or newer).",
        )
    return found.objection()


def devices() -> tuple[str, ...]:
    """This machine's GPUs."""
    found = driver()
    return () if found is None else found.devices()


def _lack(name: str, toolchain: str) -> Lack | None:
    if (none := no_gpu()) is not None:
        return none
    if name not in ort.get_available_providers():
        return Lack(
            f"{name} lives in the toolchain {toolchain!r}; the ONNX Runtime of this environment has none.",
            f"Install it with: onnxyard toolchain install {toolchain}",
            {"toolchain": toolchain},
        )
    return None


def _attach_cuda(_options: ort.SessionOptions, settled: Mapping[str, str], _threads: int) -> list[Any]:
    _preload()
    return [(_CUDA, cuda_options(settled))]


def _preload() -> None:
    """CUDA and cuDNN out of this environment's packages. Both speak through the process's logger, not the session's."""
    ort.set_default_logger_severity(4)
    ort.preload_dlls()


def cuda_options(settled: Mapping[str, str]) -> dict[str, str]:
    """As the CUDA provider takes them."""
    return {
        "device_id": "0",
        "cudnn_conv_algo_search": _SEARCH[settled["cudnn_search"]],
        "use_tf32": _FLAGS[settled["tf32"]],
        "arena_extend_strategy": _ARENA[settled["arena"]],
    }


def _attach_tensorrt(_options: ort.SessionOptions, settled: Mapping[str, str], _threads: int) -> list[Any]:
    _preload()
    if find_spec("tensorrt") is not None:
        import tensorrt  # noqa: F401, PLC0415 - it loads its libraries; only its toolchain has it
    kept = os.environ.get(ENGINES)
    return [(_TENSORRT, tensorrt_options(settled, Path(kept) if kept else None, devices()))]


def tensorrt_options(settled: Mapping[str, str], engines: Path | None, found: tuple[str, ...]) -> dict[str, str]:
    """As the TensorRT provider takes them.

    Args:
        settled: Options with their values.
        engines: Where engines and timings are kept, in a folder for this device and these versions; None for not at
            all: each load then takes minutes.
        found: The devices.
    """
    options = {
        "device_id": "0",
        "trt_fp16_enable": "1" if settled["precision"] == "f16" else "0",
        "trt_int8_enable": _FLAGS[settled["int8"]],
    }
    if engines is not None:
        folder = engines / engine_key(found)
        folder.mkdir(parents=True, exist_ok=True)
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(folder),
        }
    return options


def engine_key(found: tuple[str, ...]) -> str:
    """The folder of a device's engines: an engine is good for one GPU model and one version alone."""
    device = re.sub(r"[^a-z0-9]+", "-", (found or ("none",))[0].lower()).strip("-")
    versions = {"onnxruntime": ort.__version__, "build": ort.get_build_info()}
    with suppress(metadata.PackageNotFoundError):  # a system's own TensorRT is no distribution
        versions["tensorrt"] = metadata.version(_LIBRARIES)
    return f"{device}-{digest_of(versions)[:12]}"


CUDA = Provider(
    name=_CUDA,
    options=MappingProxyType(
        {
            "cudnn_search": ("exhaustive", "heuristic", "default"),
            "tf32": ("off", "on"),  # 10 bits of mantissa; its own default is on
            "arena": ("grow", "exact"),
            **FALLBACK,
        }
    ),
    numeric=frozenset({"cudnn_search", "tf32", *FALLBACK}),
    lack=lambda: _lack(_CUDA, "cuda"),
    attach=_attach_cuda,
    devices=devices,
    toolchain="cuda",
)
TENSORRT = Provider(
    name=_TENSORRT,
    options=MappingProxyType({"precision": ("f32", "f16"), "int8": ("off", "on"), **FALLBACK}),
    numeric=frozenset({"precision", "int8", *FALLBACK}),
    lack=lambda: _lack(_TENSORRT, "tensorrt"),
    attach=_attach_tensorrt,
    devices=devices,
    toolchain="tensorrt",
)
