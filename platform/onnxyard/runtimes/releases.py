"""Which ONNX Runtime release loads which models: the highest opset and IR version of each.

Releases up to 1.14 are as in ONNX Runtime's compatibility table (onnxruntime.ai, "ONNX Runtime compatibility", section
"ONNX opset support"). From 1.15 on each row was measured in November 2026: the last wheel of the release was given one
model per opset, IR version and version of `ai.onnx.ml`. Where the two differ the measured value stands: 1.15 claims
opset 19 but has no kernels for it (its Identity is missing), and it loads IR 9 where the table says 8.

Every release loads all opsets from 7 on up to its highest (same source, "Backwards compatibility"). That a release
knows an opset does not say that it has a kernel for every operator and dtype of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOWEST_OPSET = 7
"""Of the default domain, in every release."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release and the newest models it loads.

    Attributes:
        name: As `1.17`.
        opset: Highest opset of the default domain.
        ml: Highest version of `ai.onnx.ml`.
        ir_version: Highest IR version.
    """

    name: str
    opset: int
    ml: int
    ir_version: int

    def loads(self, opsets: Mapping[str, int], ir_version: int) -> bool:
        """Whether it knows these opsets (by domain, `""` is the default one) and this IR version."""
        highest = {"": self.opset, "ai.onnx": self.opset, "ai.onnx.ml": self.ml}
        known = all(version <= highest.get(domain, 0) for domain, version in opsets.items())
        return known and ir_version <= self.ir_version


RELEASES = (
    Release("1.0", 11, 2, 6),
    Release("1.1", 11, 2, 6),
    Release("1.2", 11, 2, 6),
    Release("1.3", 12, 2, 7),
    Release("1.4", 12, 2, 7),
    Release("1.5", 12, 2, 7),
    Release("1.6", 13, 2, 7),
    Release("1.7", 13, 2, 7),
    Release("1.8", 14, 2, 7),
    Release("1.9", 15, 2, 8),
    Release("1.10", 15, 2, 8),
    Release("1.11", 16, 2, 8),
    Release("1.12", 17, 3, 8),
    Release("1.13", 17, 3, 8),
    Release("1.14", 18, 3, 8),
    Release("1.15", 18, 3, 9),
    Release("1.16", 19, 3, 9),
    Release("1.17", 20, 4, 9),
    Release("1.18", 21, 5, 10),
    Release("1.19", 21, 5, 10),
    Release("1.20", 21, 5, 10),
    Release("1.21", 22, 5, 10),
    Release("1.22", 22, 5, 10),
    Release("1.23", 23, 5, 11),
    Release("1.24", 25, 5, 13),
    Release("1.25", 26, 5, 13),
    Release("1.26", 26, 5, 13),
    Release("1.27", 26, 5, 13),
    Release("1.28", 26, 5, 13),
    Release("1.29", 26, 5, 13),
    Release("1.30", 26, 5, 13),
    Release("1.31", 26, 5, 13),
    Release("1.32", 28, 5, 14),
)
"""Oldest first; nothing that a release loads is lost in the next one."""


def release_named(name: str) -> Release:
    """The release called `name`, as `1.17` or `1.17.3`; one newer than the table counts as the newest in it.

    Raises:
        InvalidRequestError: no release of 1.0 or later is called so.
    """
    number = _number(name)
    known = {_number(release.name): release for release in RELEASES}
    if number > max(known):
        return RELEASES[-1]
    if number not in known:
        raise InvalidRequestError(
            f"There is no ONNX Runtime release {name!r}.",
            remedy=f"Name one from {RELEASES[0].name} to {RELEASES[-1].name}.",
        )
    return known[number]


def smallest_release(opsets: Mapping[str, int], ir_version: int) -> Release | None:
    """The oldest release that loads a model; None where the table has none, as for a domain that is no standard one.

    Args:
        opsets: The model's opsets by domain, as `{"": 20, "ai.onnx.ml": 4}`.
        ir_version: The model's IR version.
    """
    return next((release for release in RELEASES if release.loads(opsets, ir_version)), None)


def _number(name: str) -> tuple[int, int]:
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise InvalidRequestError(f"{name!r} is no ONNX Runtime release.", remedy='Write it as "1.17".')
    return int(parts[0]), int(parts[1])
