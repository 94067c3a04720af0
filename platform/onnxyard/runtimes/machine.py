"""Which machine is this? A latency measured on one machine is no evidence for another."""

from __future__ import annotations

import math
import os
import platform
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from onnxyard.lifecycle.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPEED_FLAGS = frozenset(
    {"avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"}
    | {"avx_vnni", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve"}
)
"""Instruction sets that the runtimes choose kernels by (x86 and Arm)."""
RUNTIME_PACKAGES = ("onnxruntime", "openvino", "onnxruntime-ep-openvino", "onnxruntime-qnn", "iree-base-runtime")
"""Distributions that run models; a version of another one runs them at another speed."""


def describe() -> dict[str, str]:
    """What a measured latency depends on: processor, usable cores, instruction sets, system, runtimes.

    The kernel's release and the load of the moment are left out: the fingerprint must be the same in the next run.
    """
    model, flags = _processor(Path("/proc/cpuinfo"))
    return {
        "cores": str(usable_cores()),
        "flags": " ".join(sorted(flags & SPEED_FLAGS)),
        "machine": platform.machine(),
        "processor": model or platform.processor(),
        "system": platform.system(),
        **{package: _version(package) for package in RUNTIME_PACKAGES},
    }


def fingerprint() -> str:
    """The sha256 (64 hex digits) of `describe()`: part of the key of every stage that measures."""
    return digest_of(describe())


def cpu_flags() -> frozenset[str]:
    """The instruction sets that this processor tells of, by the kernel's names; empty where the system has no such."""
    return frozenset(_processor(Path("/proc/cpuinfo"))[1])


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may keep busy: those of its affinity, or fewer where a cgroup limits processor time.

    A container limited to 1.5 cores on a machine of 64 sees 64, and 64 threads then wait for each other.

    Args:
        root: Where `proc` and `sys` lie.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(root), default=math.inf)
    return max(1, min(cores, math.ceil(quota))) if math.isfinite(quota) else cores


def _quotas(root: Path) -> Iterator[float]:
    """Every limit of processor time over this process, in cores (kernel documentation: cgroup-v2, sched-bwc)."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # no cgroups: not Linux, or a kernel without them
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for mount in (mounts, mounts / "unified"):  # the second where both hierarchies are mounted
                yield from _limits(mount, path, _limit_v2)
        elif "cpu" in controllers.split(","):
            for mount in {mounts / controllers, mounts / "cpu"}:
                yield from _limits(mount, path, _limit_v1)


def _limits(mount: Path, path: str, read: Callable[[Path], float | None]) -> Iterator[float]:
    """Of the process's group and every group around it: the tightest holds.

    In a container the path may be the host's, of which only the mount itself shows: it is the last one looked at.
    """
    inside = PurePosixPath(path.lstrip("/"))
    for group in (inside, *inside.parents):
        limit = read(mount / group)
        if limit is not None:
            yield limit


def _limit_v2(group: Path) -> float | None:
    return _share(_words(group / "cpu.max"))


def _limit_v1(group: Path) -> float | None:
    return _share([*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")])


def _share(words: list[str]) -> float | None:
    """Quota by period; None without a limit, which is `max` in version 2 and -1 in version 1."""
    if len(words) != 2 or not all(word.isdecimal() for word in words) or not int(words[1]):
        return None
    return int(words[0]) / int(words[1])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []


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
