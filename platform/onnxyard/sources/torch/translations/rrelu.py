"""Randomized leaky ReLU outside training. Torch 2.13 has no ONNX form for it."""

from __future__ import annotations

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op


def _rrelu(  # noqa: PLR0917 - torch's signature
    x: GraphValue,
    noise: GraphValue,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    generator: GraphValue = None,  # noqa: ARG001 - torch's signature
) -> list[GraphValue]:
    """The value and the noise as it came in."""
    if training:
        raise UnsupportedModelError("RReLU draws its slopes at random in training mode.", remedy="Call model.eval().")
    kept = op.GreaterOrEqual(x, op.CastLike(0.0, x))
    return [op.Where(kept, x, op.Mul(x, op.CastLike((lower + upper) / 2, x))), op.Identity(noise)]


TRANSLATION = Translation(
    functions={"aten::rrelu_with_noise_functional": _rrelu},
    form="Where and Mul, with the middle of the two slopes",
    max_error=2e-7,
    source="Xu et al., Empirical Evaluation of Rectified Activations, arXiv 1505.00853",
    limits="refused in training mode",
)
