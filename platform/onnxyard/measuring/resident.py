"""Resident memory of this process, as Linux tells it (man 5 proc): zero elsewhere, where nothing is claimed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK_ONLY = "5"
"""Writing it sets the peak back to what is resident now."""


def resident_bytes() -> int:
    """Bytes in memory now."""
    return _read("VmRSS")


def peak_bytes() -> int:
    """The most that was in memory since `begin_peak`, or since the start where that is not allowed."""
    return _read("VmHWM")


def begin_peak() -> None:
    """Count the peak from now on."""
    with suppress(OSError):  # a hardened kernel refuses; the peak then counts from the start
        _CLEAR.write_text(_PEAK_ONLY, encoding="ascii")


def _read(name: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = next((line for line in lines if line.startswith(f"{name}:")), f"{name}: 0 kB")
    return int(found.split()[1]) * 1024
