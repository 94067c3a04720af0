"""OpenVINO's package without its telemetry, which sends an event and keeps an id in the user's home at import."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Where the package for telemetry is not installed, OpenVINO has a stub for it; so it is, for a moment."""
    hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == _TELEMETRY}
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # how Python notes that there is no such module
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        sys.modules.update(hidden)


with _without_telemetry():
    import openvino

__all__ = ["openvino"]
