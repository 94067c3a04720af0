"""What answers: one loaded version per endpoint, exchanged by one reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxyard.errors import NotFoundError, TransientError
from onnxyard.lifecycle.deployment import ReplicaState
from onnxyard.ports.runtime import LoadedModel
from onnxyard.profile.layout import Layout
from onnxyard.project.processing import Processing
from onnxyard_serving.assignment import Assignment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

    from onnxyard.lifecycle.signature import Signature


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version, loaded and warm. Immutable and thread-safe.

    Attributes:
        assignment: What the registry said.
        loaded: The model in its runtime.
        processing: The version's preprocess and postprocess.
        layout: How a request is described as columns of the prediction log.
        precision: As `fp32` or `int8`: what the rehearsal read from the graph, or what the setup computes it in.
    """

    assignment: Assignment
    loaded: LoadedModel
    processing: Processing
    layout: Layout
    precision: str

    @property
    def endpoint(self) -> str:
        """The endpoint's name, V2's model name."""
        return self.assignment.endpoint

    @property
    def version(self) -> int:
        """The version's number, V2's model version."""
        return self.assignment.version

    @property
    def generation(self) -> int:
        """The endpoint's generation."""
        return self.assignment.generation

    @property
    def digest(self) -> str:
        """The model artifact's digest."""
        return self.assignment.model_digest

    @property
    def signature(self) -> Signature:
        """Raw inputs and answers."""
        return self.assignment.signature

    @property
    def provider(self) -> str:
        """The provider that really runs it."""
        return self.loaded.provider

    def answer(self, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Raw inputs through preprocess, the model and postprocess.

        Raises:
            InvalidRequestError: the inputs do not fit, or the version's processing refused them.
            UnsupportedModelError: the graph fails on them.
        """
        return self.processing.after(self.loaded.run(self.processing.before(raw)))


@dataclass(slots=True)
class Endpoint:
    """One endpoint of this replica. Only the follower's thread writes; any thread reads.

    A request takes `current` once and keeps to it, so a swap is one assignment: requests in flight finish on the
    version they began with, and the old session is freed when the last of them lets go of it.

    Attributes:
        name: The endpoint's name.
        current: What answers; None before the first load.
        state: How the replica stands to the newest generation it heard of.
        message: Why it refused; empty otherwise.
        seen_generation: The newest generation dealt with, served or refused; 0 before the first.
    """

    name: str
    current: ServedVersion | None = None
    state: ReplicaState = ReplicaState.LOADING
    message: str = ""
    seen_generation: int = 0

    def serving(self, version: str | None = None) -> ServedVersion:
        """What answers now.

        Args:
            version: The version a client asks for, as in the path; None for whatever is live.

        Raises:
            TransientError: nothing is loaded yet.
            NotFoundError: another version is live here.
        """
        served = self.current
        if served is None:
            why = f": {self.message}" if self.message else "."
            raise TransientError(f"No version of {self.name!r} is loaded yet{why}")
        if version is not None and version != str(served.version):
            raise NotFoundError(
                f"Version {version[:20]} of {self.name!r} is not served here.",
                remedy=f"Live is version {served.version}.",
            )
        return served


@dataclass(slots=True)
class Endpoints:
    """All endpoints this replica knows of, by name."""

    _by_name: dict[str, Endpoint] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(tuple(self._by_name.values()))

    def known(self, name: str) -> Endpoint:
        """The endpoint of that name, made if it is new."""
        return self._by_name.setdefault(name, Endpoint(name))

    def get(self, name: str) -> Endpoint:
        """The endpoint of that name. Raises NotFoundError."""
        found = self._by_name.get(name)
        if found is None:
            names = ", ".join(sorted(self._by_name)) or "none"
            raise NotFoundError(f"There is no model {name[:80]!r} here.", remedy=f"Endpoints: {names}.")
        return found
