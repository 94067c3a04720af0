"""Every probe, in the order they are asked; one more is one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.doctor.probes import (
    divergence,
    equal_outputs,
    finiteness,
    integers,
    only_length,
    opset,
    randomness,
    remedies,
    resizes,
    steadiness,
    training,
    undeclared_axes,
    weights,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding

    Probe = Callable[[Case], Iterator[Finding]]

PROBES: tuple[Probe, ...] = (
    opset.probe,
    training.probe,
    randomness.probe,
    steadiness.probe,
    divergence.probe,
    only_length.probe,
    integers.probe,
    finiteness.probe,
    equal_outputs.probe,
    weights.probe,
    resizes.probe,
    undeclared_axes.probe,
    remedies.probe,
)
