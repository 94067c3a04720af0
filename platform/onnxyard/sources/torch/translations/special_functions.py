"""Special functions that torch 2.13 has no ONNX form for: erfinv, lgamma, digamma, hypot, copysign."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-04, -1.25372503e-03,
    -4.17768164e-03, 2.46640727e-01, 1.50140941,
)  # fmt: skip
_FAR = (
    -2.00214257e-04, 1.00950558e-04, 1.34934322e-03, -3.67342844e-03, 5.73950773e-03, -7.6224613e-03,
    9.43887047e-03, 1.00167406, 2.83297682,
)  # fmt: skip
_STIRLING = (1 / 1260, -1 / 360, 1 / 12)
_DIGAMMA = (-1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12)
_SHIFT = 8
"""From here on the asymptotic series are exact to float32; smaller arguments are carried up by the recurrences."""


def _number(value: float) -> GraphValue:
    """A double: terms that cancel each other then leave float32 exact."""
    return op.Constant(value=ir.tensor(value, dtype=ir.DataType.DOUBLE))


def _polynomial(x: GraphValue, coefficients: Sequence[float]) -> GraphValue:
    """Horner's scheme, the highest power first."""
    value = _number(coefficients[0])
    for one in coefficients[1:]:
        value = op.Add(op.Mul(value, x), _number(one))
    return value


def _erfinv(x: GraphValue) -> GraphValue:
    """M. Giles, Approximating the erfinv function, GPU Computing Gems 2, 2011: single precision."""
    y, one = op.Cast(x, to=ir.DataType.DOUBLE), _number(1.0)
    w = op.Neg(op.Log(op.Mul(op.Sub(one, y), op.Add(one, y))))
    near = _polynomial(op.Sub(w, _number(2.5)), _NEAR)
    far = _polynomial(op.Sub(op.Sqrt(op.Max(w, _number(0.0))), _number(3.0)), _FAR)
    value = op.Mul(op.Where(op.Less(w, _number(5.0)), near, far), y)
    edge = op.Equal(op.Abs(y), one)
    return op.CastLike(op.Where(edge, op.Mul(op.Sign(y), _number(math.inf)), value), x)


def _lgamma(x: GraphValue) -> GraphValue:
    """Stirling's series (Abramowitz & Stegun 6.1.41), with the recurrence below 8 and the reflection below 0.5."""
    y, one = op.Cast(x, to=ir.DataType.DOUBLE), _number(1.0)
    mirrored = op.Less(y, _number(0.5))
    z = op.Where(mirrored, op.Sub(one, y), y)
    small = op.Less(z, _number(_SHIFT))
    product = op.Where(small, z, one)
    for step in range(1, _SHIFT):
        product = op.Mul(product, op.Where(small, op.Add(z, _number(step)), one))
    large = op.Where(small, op.Add(z, _number(_SHIFT)), z)
    inverse = op.Reciprocal(large)
    series = op.Mul(_polynomial(op.Mul(inverse, inverse), _STIRLING), inverse)
    growth = op.Mul(op.Sub(large, _number(0.5)), op.Sub(op.Log(large), one))
    grown = op.Add(growth, op.Add(series, _number(0.5 * math.log(2 * math.pi) - 0.5)))
    value = op.Where(op.IsInf(z), _number(math.inf), op.Sub(grown, op.Log(product)))
    fraction = op.Sub(y, op.Round(y))
    sine = op.Abs(op.Sin(op.Mul(fraction, _number(math.pi))))
    reflected = op.Sub(op.Sub(_number(math.log(math.pi)), op.Log(sine)), value)
    pole = op.Or(op.Equal(fraction, _number(0.0)), op.IsInf(y))
    return op.CastLike(op.Where(mirrored, op.Where(pole, _number(math.inf), reflected), value), x)


def _digamma(x: GraphValue) -> GraphValue:
    """The asymptotic series (Abramowitz & Stegun 6.3.18), with the recurrence below 8 and the reflection below 0."""
    y, zero = op.Cast(x, to=ir.DataType.DOUBLE), _number(0.0)
    mirrored = op.Less(y, zero)
    z = op.Where(mirrored, op.Sub(_number(1.0), y), y)
    small = op.Less(z, _number(_SHIFT))
    carried = zero
    for step in range(_SHIFT):
        carried = op.Add(carried, op.Where(small, op.Reciprocal(op.Add(z, _number(step))), zero))
    large = op.Where(small, op.Add(z, _number(_SHIFT)), z)
    inverse = op.Reciprocal(large)
    square = op.Mul(inverse, inverse)
    series = op.Mul(_polynomial(square, _DIGAMMA), square)
    value = op.Sub(op.Add(op.Sub(op.Log(large), op.Mul(inverse, _number(0.5))), series), carried)
    value = op.Where(op.IsInf(z), _number(math.inf), value)
    fraction = op.Sub(y, op.Round(y))
    angle = op.Mul(fraction, _number(math.pi))
    turned = op.Sub(value, op.Div(op.Mul(op.Cos(angle), _number(math.pi)), op.Sin(angle)))
    reflected = op.Where(op.Equal(fraction, zero), _number(math.nan), turned)
    at_zero = op.Neg(op.Reciprocal(y))
    return op.CastLike(op.Where(op.Equal(y, zero), at_zero, op.Where(mirrored, reflected, value)), x)


def _hypot(x: GraphValue, y: GraphValue) -> GraphValue:
    """Scaled by the larger one, so that squares neither overflow nor vanish."""
    one, other = op.Abs(x), op.Abs(y)
    larger, smaller = op.Max(one, other), op.Min(one, other)
    nothing = op.CastLike(0.0, larger)
    safe = op.Where(op.Equal(larger, nothing), op.CastLike(1.0, larger), larger)
    ratio = op.Div(smaller, safe)
    value = op.Mul(larger, op.Sqrt(op.Add(op.Mul(ratio, ratio), op.CastLike(1.0, larger))))
    return op.Where(op.Or(op.IsInf(one), op.IsInf(other)), op.CastLike(math.inf, larger), value)


def _copysign(x: GraphValue, sign: GraphValue) -> GraphValue:
    size = op.Abs(x)
    like = op.CastLike(sign, size) if isinstance(sign, ir.Value) else op.CastLike(op.Constant(value_float=sign), size)
    return op.Where(_negative(like), op.Neg(size), size)


def _negative(x: GraphValue) -> GraphValue:
    """Whether the sign bit is set: minus zero has one, and its reciprocal shows it."""
    zero = op.CastLike(0.0, x)
    return op.Or(op.Less(x, zero), op.And(op.Equal(x, zero), op.Less(op.Reciprocal(x), zero)))


TRANSLATION = Translation(
    functions={
        "aten::erfinv": _erfinv,
        "aten::special_erfinv": _erfinv,
        "aten::lgamma": _lgamma,
        "aten::special_gammaln": _lgamma,
        "aten::digamma": _digamma,
        "aten::special_digamma": _digamma,
        "aten::hypot": _hypot,
        "aten::copysign.Tensor": _copysign,
        "aten::copysign.Scalar": _copysign,
    },
    form="polynomials, asymptotic series and reflections of elementary operators",
    max_error=1e-6,
    source="Giles 2011 (erfinv); Abramowitz & Stegun, Handbook of Mathematical Functions, 6.1.41 and 6.3.18",
    limits="exact to float32 whatever the type",
)
