"""OpenVINO's package without its telemetry, which sends an event and keeps an id in the user's home at import."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TELEMETRY = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Import as if the package for telemetry were not installed: OpenVINO and NNCF then have a stub for it."""
    hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == _TELEMETRY}
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # how Python notes that there is no such module
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        sys.modules.update(hidden)


with without_telemetry():
    import openvino

__all__ = ["openvino", "without_telemetry"]
