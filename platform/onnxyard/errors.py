"""What can go wrong, as facts of the domain. Nothing here knows HTTP or exit codes: each boundary owns a table.

OnnxyardError
├── InvalidRequestError        the caller asked for something that makes no sense
│   ├── ProjectFileError       onnxyard.toml holds mistakes: all of them, each with its line
│   ├── UserCodeError          the project's own train, data or metrics raised or returned the wrong thing
│   └── MissingExtraError      an optional part of Onnxyard is not installed
├── NotFoundError              a name that nothing answers to
│   └── NoTrafficError         an endpoint that nobody has asked anything yet
├── ConflictError              somebody else changed it first, or holds it now
├── GateFailedError            a gate measured a value that its threshold does not allow
├── UnsupportedModelError      the model cannot take this path
├── ArtifactCorruptError       bytes on disk are not the bytes that were recorded
└── TransientError             trying again later may well work
    ├── UnreachableError       a database, MLflow or Prefect server does not answer
    └── StorageFullError       no space left where artifacts or state are written
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class OnnxyardError(Exception):
    """The root of the tree.

    Args:
        detail: What happened, in one sentence.
        where: The file, line, key, endpoint or URL it happened at; empty when the detail says so already.
        remedy: What the reader can do next; empty when there is nothing to do.
        **facts: Values a program may want (JSON-compatible); shown in `context`.
    """

    code: ClassVar[str] = "onnxyard"
    title: ClassVar[str] = "Onnxyard error"

    def __init__(self, detail: str, *, where: str = "", remedy: str = "", **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.remedy = remedy
        self.facts = facts

    @property
    def context(self) -> Mapping[str, object]:
        """Where it happened, what to do next and the facts, without empty entries."""
        named = {"where": self.where, "remedy": self.remedy}
        return {**{key: text for key, text in named.items() if text}, **self.facts}

    def __str__(self) -> str:
        at = f" [{self.where}]" if self.where else ""
        then = f" {self.remedy}" if self.remedy else ""
        return f"{self.detail}{at}{then}"


class InvalidRequestError(OnnxyardError):
    """The caller asked for something that makes no sense."""

    code = "invalid-request"
    title = "Invalid request"


class ProjectFileError(InvalidRequestError):
    """The project file holds mistakes; `facts["problems"]` lists every one with its line."""

    code = "invalid-project-file"
    title = "Invalid project file"


class UserCodeError(InvalidRequestError):
    """The project's own code raised, or returned something of the wrong type or shape."""

    code = "project-code-failed"
    title = "The project's code failed"


class MissingExtraError(InvalidRequestError):
    """An optional part of Onnxyard is not installed; `facts["extra"]` names it."""

    code = "missing-extra"
    title = "An optional part is not installed"


class NotFoundError(OnnxyardError):
    """A name that nothing answers to."""

    code = "not-found"
    title = "Not found"


class NoTrafficError(NotFoundError):
    """An endpoint that nobody has asked anything yet: there is no window to judge."""

    code = "no-traffic"
    title = "No traffic yet"


class ConflictError(OnnxyardError):
    """Somebody else changed it first, or holds it now."""

    code = "conflict"
    title = "Conflict"


class GateFailedError(OnnxyardError):
    """A gate measured a value that its threshold does not allow; `facts["gates"]` lists them."""

    code = "gate-failed"
    title = "A gate failed"


class UnsupportedModelError(OnnxyardError):
    """The model cannot take this path; the detail names the operator and the module where they are known."""

    code = "unsupported-model"
    title = "Unsupported model"


class ArtifactCorruptError(OnnxyardError):
    """Bytes on disk are not the bytes that were recorded."""

    code = "artifact-corrupt"
    title = "Corrupt artifact"


class TransientError(OnnxyardError):
    """Trying again later may well work."""

    code = "transient"
    title = "Temporarily unavailable"


class UnreachableError(TransientError):
    """A database, MLflow or Prefect server does not answer."""

    code = "unreachable"
    title = "Service unreachable"


class StorageFullError(TransientError):
    """No space is left where artifacts or state are written."""

    code = "storage-full"
    title = "Storage full"
