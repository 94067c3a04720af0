"""Operators written as simpler ones before an export: torch's own tables, and functions of complex numbers.

A translation cannot take complex tensors (torch's `custom_translation_table` is for real ones), but its exporter knows
`complex`, `polar`, `real`, `imag`, `abs` and `angle`: everything else is written with these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch._ops import OpOverload

_aten = torch.ops.aten


def further_decompositions() -> dict[OpOverload, Callable[..., Any]]:
    """By operator: what it is made of. Torch's core decompositions, `COMPLEX` and `MOVING`; a new dict."""
    table: dict[OpOverload, Callable[..., Any]] = dict(torch.export.default_decompositions().items())  # type: ignore[no-untyped-call]  # torch's own dict
    moved = {operator: _by_parts(operator) for operator in MOVING}
    return table | {operator: _of_complex(function) for operator, function in {**COMPLEX, **moved}.items()}


def _of_complex(function: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    """The function for complex tensors; real ones stay as they are."""

    def decomposed(z: torch.Tensor, *others: Any) -> Any:  # noqa: ANN401 - torch takes NotImplemented for "leave it"
        return function(z, *others) if z.is_complex() else NotImplemented

    return decomposed


def _by_parts(operator: OpOverload) -> Callable[..., torch.Tensor]:
    """Real and imaginary part moved alike."""

    def decomposed(z: torch.Tensor, *others: object) -> torch.Tensor:
        return torch.complex(operator(z.real, *others), operator(z.imag, *others))

    return decomposed


def _exp(z: torch.Tensor) -> torch.Tensor:
    return torch.polar(z.real.exp(), z.imag)


def _log(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(z.abs().log(), z.angle())


def _sqrt(z: torch.Tensor) -> torch.Tensor:
    """The principal root, of the half-angle formulas: no angle is taken, so that real numbers have exact roots.

    The larger part first, of a sum; the smaller one by division, as the difference |z| - |real| would cancel.
    """
    larger = torch.sqrt((z.abs() + z.real.abs()) / 2)
    tiny = torch.finfo(larger.dtype).tiny
    smaller = z.imag.abs() / (2 * larger).clamp(min=tiny)
    real = torch.where(z.real >= 0, larger, smaller)
    imag = torch.where(z.real >= 0, smaller, larger)
    return torch.complex(real, torch.where(z.imag < 0, -imag, imag))


def _sin(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(z.real.sin() * z.imag.cosh(), z.real.cos() * z.imag.sinh())


def _cos(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(z.real.cos() * z.imag.cosh(), -z.real.sin() * z.imag.sinh())


def _tanh(z: torch.Tensor) -> torch.Tensor:
    """By exponentials of negative numbers alone, so that nothing overflows."""
    small = torch.exp(-2 * z.real.abs())
    size = 1 + small * small + 2 * small * torch.cos(2 * z.imag)
    real = torch.sign(z.real) * (1 - small * small) / size
    return torch.complex(real, 2 * small * torch.sin(2 * z.imag) / size)


def _sinh(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(z.real.sinh() * z.imag.cos(), z.real.cosh() * z.imag.sin())


def _cosh(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(z.real.cosh() * z.imag.cos(), z.real.sinh() * z.imag.sin())


def _pow(z: torch.Tensor, exponent: float) -> torch.Tensor:
    """Small whole powers by products, which are exact for whole numbers; the others by size and angle."""
    if exponent in range(1, 9):
        power = z
        for _ in range(int(exponent) - 1):
            power = power * z
        return power
    return torch.polar(z.abs() ** exponent, z.angle() * exponent)


def _bmm(z: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    real = torch.bmm(z.real, other.real) - torch.bmm(z.imag, other.imag)
    return torch.complex(real, torch.bmm(z.real, other.imag) + torch.bmm(z.imag, other.real))


def _sigmoid(z: torch.Tensor) -> torch.Tensor:
    return (_tanh(z / 2) + 1) / 2


COMPLEX: dict[OpOverload, Callable[..., torch.Tensor]] = {
    _aten.exp.default: _exp,
    _aten.log.default: _log,
    _aten.sqrt.default: _sqrt,
    _aten.sin.default: _sin,
    _aten.cos.default: _cos,
    _aten.sinh.default: _sinh,
    _aten.cosh.default: _cosh,
    _aten.tanh.default: _tanh,
    _aten.pow.Tensor_Scalar: _pow,
    _aten.sigmoid.default: _sigmoid,
    _aten.bmm.default: _bmm,
}
"""Functions of complex numbers (Abramowitz & Stegun 3.7.27, 4.1.2, 4.2.2, 4.3.55, 4.3.56, 4.5.49 to 4.5.51)."""
MOVING: tuple[OpOverload, ...] = (
    _aten.unsqueeze.default,
    _aten.permute.default,
    _aten.flip.default,
    _aten.roll.default,
    _aten.index_select.default,
    _aten.repeat.default,
)
"""What only moves numbers (an einsum of complex numbers needs some of it)."""
