"""Why something cannot run on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from onnxyard.errors import MissingExtraError, UnsupportedModelError

if TYPE_CHECKING:
    from onnxyard.errors import OnnxyardError


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing.

    Attributes:
        detail: What, in one sentence.
        remedy: What to do about it.
        facts: `extra` or `toolchain` where an installation mends it.
    """

    detail: str
    remedy: str
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, error: MissingExtraError) -> Self:
        """What an error says is not installed."""
        return cls(error.detail, error.remedy, {name: str(value) for name, value in error.facts.items()})

    def error(self) -> OnnxyardError:
        """MissingExtraError where an installation mends it, else UnsupportedModelError."""
        kind = MissingExtraError if self.facts else UnsupportedModelError
        return kind(self.detail, remedy=self.remedy, **self.facts)
