"""What deploy takes."""

from __future__ import annotations

from dataclasses import dataclass

from onnxyard.lifecycle.deployment import Deployment


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """Decide what should become of a validated version.

    Attributes:
        endpoint: The endpoint's name.
        model: The model's name.
        version: The version's number.
        target: The target whose artifact shall serve.
        generation: The endpoint's present generation; 0 where it does not exist.
        history: Every role of every generation of the endpoint, newest first.
    """

    endpoint: str
    model: str
    version: int
    target: str
    generation: int
    history: tuple[Deployment, ...]
