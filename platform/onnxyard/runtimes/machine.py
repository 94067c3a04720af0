"""Which machine is this? A latency measured on one machine is no evidence for another."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from onnxyard.lifecycle.digest import digest_of

SPEED_FLAGS = frozenset(
    {"avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"}
    | {"avx_vnni", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve"}
)
"""Instruction sets that the runtimes choose kernels by (x86 and Arm)."""


def describe() -> dict[str, str]:
    """What a measured latency depends on: processor, usable cores, instruction sets, system, runtimes.

    The kernel's release and the load of the moment are left out: the fingerprint must be the same in the next run.
    """
    model, flags = _processor(Path("/proc/cpuinfo"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": str(cores),
        "flags": " ".join(sorted(flags & SPEED_FLAGS)),
        "machine": platform.machine(),
        "onnxruntime": metadata.version("onnxruntime"),
        "openvino": _version("openvino"),
        "processor": model or platform.processor(),
        "system": platform.system(),
    }


def fingerprint() -> str:
    """The sha256 (64 hex digits) of `describe()`: part of the key of every stage that measures."""
    return digest_of(describe())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # an extra that is not installed measures nothing
        return ""


def _processor(cpuinfo: Path) -> tuple[str, set[str]]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux: `platform` has to do
        return "", set()
    facts: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip().lower(), value.strip())
    return facts.get("model name", ""), set(facts.get("flags", facts.get("features", "")).split())
