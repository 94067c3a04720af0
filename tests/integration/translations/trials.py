"""For every entry of the catalogue: what it is tried on, all of it in one module so that one export is enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import linalg
from torch.nn import functional

NAN, INF = math.nan, math.inf
EDGES = [0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, INF, -INF, NAN, 3.0, 3.0, -7.5]
"""Zeros, ties, tiny and huge numbers, infinities and NaN."""


@dataclass(frozen=True)
class Trial:
    """One entry's trial.

    Attributes:
        entry: The entry's module.
        forward: Gives a list of tensors, each with the batch first.
        row: Makes one row of the input from a generator.
        edges: Further rows, of the same shape, that hold edge values.
    """

    entry: str
    forward: Callable[[torch.Tensor], Sequence[torch.Tensor]]
    row: Callable[[np.random.Generator], np.ndarray]
    edges: Sequence[Any] = ()

    def batch(self, rows: int, *, seed: int) -> np.ndarray:
        """float32 rows, random ones and then the edges."""
        random = np.random.default_rng(seed)
        made = [np.asarray(self.row(random), dtype=np.float32) for _ in range(rows)]
        return np.stack([*made, *(np.asarray(row, dtype=np.float32) for row in self.edges)])


def _normal(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda random: random.normal(size=shape)


def _well_conditioned(size: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Symmetric and positive definite, with a condition number below 100."""

    def make(random: np.random.Generator) -> np.ndarray:
        turned, _ = np.linalg.qr(random.normal(size=(size, size)))
        return (turned * np.geomspace(0.1, 5, size)) @ turned.T

    return make


def _antialiased(x: torch.Tensor) -> list[torch.Tensor]:
    """Odd and even sizes, down and up, by scale and by size, corners aligned or not, one axis down and one up."""
    found = []
    for mode in ("bilinear", "bicubic"):
        for align in (False, True):
            settings = {"mode": mode, "align_corners": align, "antialias": True}
            found += [functional.interpolate(x, scale_factor=scale, **settings) for scale in (0.5, 2.0, (0.37, 1.3))]
            found += [functional.interpolate(x[..., :8], size=size, **settings) for size in ((5, 6), (1, 1), (13, 3))]
            found.append(functional.interpolate(x, scale_factor=0.6, recompute_scale_factor=True, **settings))
    return found


def _attention(x: torch.Tensor) -> list[torch.Tensor]:
    attend, three = functional.scaled_dot_product_attention, x[:, 0]
    scores = x @ x.transpose(-1, -2)
    return [
        attend(three, three.flip(1), three),
        attend(three, three, three, is_causal=True),
        attend(x[:, :, None], x[:, :, None], x[:, :, None], scale=0.3),
        attend(x, x[:, :2], x[:, 2:], enable_gqa=True),
        attend(x, x, x, attn_mask=scores > 1e9),  # nothing to see anywhere
        attend(x, x, x, attn_mask=scores > 0),
        attend(x, x, x, attn_mask=torch.where(scores > 0, 0.0, -math.inf)),
        attend(x.double(), x.double(), x.double()),
        attend(x[:, :, :3], x, x, is_causal=True),
    ]


def _cumprod(x: torch.Tensor) -> list[torch.Tensor]:
    whole = (x * 3).nan_to_num(0, 2, -2).clamp(-5, 5)
    return [x.cumprod(1), x[:, :1].cumprod(1), whole.int().cumprod(-1), x.double().cumprod(-1), whole.cumprod(1)]


def _running_extremes(x: torch.Tensor) -> list[torch.Tensor]:
    return [
        *x.cummax(1), *x.round().cummin(-1), *x[:, :, None].expand(-1, -1, 3).cummax(1),
        *x.nan_to_num(0, 9, -9).int().cummin(1), *x.double().cummax(1),
    ]  # fmt: skip


def _searchsorted(x: torch.Tensor) -> list[torch.Tensor]:
    edges, rows = torch.tensor([-1.0, -0.5, 0.0, 0.0, 1.0, 3.0]), x.nan_to_num().sort(1).values
    order = x.nan_to_num().argsort(1)
    return [
        torch.searchsorted(edges, x),
        torch.searchsorted(edges, x, right=True, out_int32=True),
        torch.searchsorted(rows, x, side="right"),
        torch.searchsorted(x.nan_to_num(), x, sorter=order),
        torch.searchsorted(edges.double(), x.double()),
    ]


def _order_statistics(x: torch.Tensor) -> list[torch.Tensor]:
    distinct = x.nan_to_num(0.1, 50, -50) + torch.arange(x.shape[1]) * 1e-3
    cube = distinct[:, :, None] * torch.tensor([1.0, -2.0, 0.5])
    return [
        *distinct.kthvalue(3, 1), *cube.kthvalue(1, 1, keepdim=True), *distinct.median(1), *cube.median(1),
        distinct.nanmedian(1).values, x.median(1).values, x.nanmedian(1).values, x.kthvalue(5, 1).values,
        (distinct * 1000).long().median(1).values,
        *x.round().sort(dim=1, stable=True), *x.round().sort(dim=1, stable=True, descending=True),
        distinct.median().expand(x.shape[0]), x.nanmedian().expand(x.shape[0]),
    ]  # fmt: skip


def _scatter_reduce(x: torch.Tensor) -> list[torch.Tensor]:
    places, whole = (x > 0).long() * 2, (x.nan_to_num(0, 9, -9).clamp(-9, 9) * 9).int()
    found = []
    for reduce in ("sum", "mean", "prod", "amax", "amin"):
        for own in (True, False):
            found.append(x.scatter_reduce(1, places[:, :4], x, reduce, include_self=own))
            found.append(whole.scatter_reduce(1, places[:, :4], whole, reduce, include_self=own))
            if reduce != "sum":
                found.append(x.index_reduce(1, torch.tensor([0, 0, 2]), x[:, 1:4] * 2, reduce, include_self=own))
    return found


def _special_functions(x: torch.Tensor) -> list[torch.Tensor]:
    return [
        torch.erfinv(x), torch.erfinv(torch.tanh(x)), torch.lgamma(x), torch.lgamma(x.abs() + 0.01), torch.digamma(x),
        torch.digamma(x.abs() + 0.01), torch.hypot(x, x.flip(1)), torch.copysign(x + 1, x), torch.copysign(x, -2.0),
        torch.hypot(x.double(), x.double() + 1),
    ]  # fmt: skip


def _linear_systems(x: torch.Tensor) -> list[torch.Tensor]:
    general = x.flip(1)  # no longer symmetric: the pivots move
    small = x[:, :2, :2]
    return [
        linalg.inv(general), *linalg.lu_factor(general), linalg.solve(general, x[..., 0]), *linalg.slogdet(general),
        linalg.inv(small.double()), torch.inverse(x[:, :1, :1]), linalg.solve(small, torch.ones(1, 2, 3)),
        linalg.solve(small.flip(1), x[:, 2:, :2], left=False), linalg.solve(torch.eye(2) * 2, small),
        *linalg.slogdet(small * 0), torch.logdet(small), *linalg.inv_ex(small), *linalg.solve_ex(small, small),
    ]  # fmt: skip


def _cholesky(x: torch.Tensor) -> list[torch.Tensor]:
    lower = linalg.cholesky(x)
    return [
        lower, linalg.cholesky(x, upper=True), torch.cholesky(x), *linalg.cholesky_ex(x),
        linalg.solve_triangular(lower, x[..., :2], upper=False),
        linalg.solve_triangular(x.triu(), x[:, :2], upper=True, left=False),
        linalg.solve_triangular(x * 0.1, x, upper=False, unitriangular=True),
        torch.cholesky_solve(x[..., :2], lower), torch.cholesky_inverse(lower),
        torch.cholesky_inverse(lower.transpose(-1, -2), upper=True), linalg.cholesky(x.double()),
    ]  # fmt: skip


def _matrix_functions(x: torch.Tensor) -> list[torch.Tensor]:
    return [
        linalg.matrix_exp(torch.cat([x, x * 1e-4, x * 0, -4 * x.abs()])).reshape(4, -1, 4, 4).transpose(0, 1),
        *linalg.qr(x), *linalg.qr(x[:, :, :3]), *linalg.qr(x[:, :2]), *linalg.qr(x[:, :3, :2], mode="complete"),
        *linalg.qr(x[:, :3, :3].triu()), linalg.matrix_exp(x[:, :2, :2].double()),
    ]  # fmt: skip


def _adaptive_max_pool(x: torch.Tensor) -> list[torch.Tensor]:
    found = [
        *functional.adaptive_max_pool2d(x, (3, 4), return_indices=True),
        functional.adaptive_max_pool1d(x[:, 0], 4),
    ]
    return [*found, functional.adaptive_max_pool2d(x, (8, 1)), functional.adaptive_max_pool2d(x, (7, 9))]


def _distances(x: torch.Tensor) -> list[torch.Tensor]:
    pairs = [torch.cdist(x, x[:, :2] + 1, p=p) for p in (0.0, 1.0, 2.0, 3.0, INF)]
    return [*pairs, torch.cdist(x.double(), x.double() + 1), functional.pdist(x[0]).expand(x.shape[0], -1)]


def _roll(x: torch.Tensor) -> list[torch.Tensor]:
    rows = x.shape[0]
    return [x.roll((1, -7), (1, 2)), x.roll(3), torch.roll(x, rows - 1, 0), torch.fft.fftshift(x), x[:, 0].roll(5, 1)]


def _mode(x: torch.Tensor) -> list[torch.Tensor]:
    whole = x.round()
    return [whole.mode(1).values, *whole.mode(-1, keepdim=True), whole.int().mode(1).values]


def _rrelu(x: torch.Tensor) -> list[torch.Tensor]:
    return [functional.rrelu(x), functional.rrelu(x, 0.1, 0.2), functional.rrelu(x.double())]


def _logcumsumexp(x: torch.Tensor) -> list[torch.Tensor]:
    return [x.logcumsumexp(1), (x * 100).logcumsumexp(1), x[:, :1].logcumsumexp(1), x.double().logcumsumexp(1)]


TRIALS = (
    Trial("adaptive_max_pool", _adaptive_max_pool, _normal(3, 7, 9)),
    Trial("antialiased_resize", _antialiased, _normal(2, 9, 12), [np.full((2, 9, 12), 1e30)]),
    Trial("attention", _attention, _normal(4, 5, 8), [np.zeros((4, 5, 8))]),
    Trial("cholesky", _cholesky, _well_conditioned(4)),
    Trial("cumprod", _cumprod, _normal(12), [EDGES]),
    Trial("distances", _distances, _normal(6, 3)),
    Trial("linear_systems", _linear_systems, _well_conditioned(4)),
    Trial("logcumsumexp", _logcumsumexp, _normal(12), [EDGES, [-INF] * 12, [-300, 300] * 6]),
    Trial("matrix_functions", _matrix_functions, _normal(4, 4)),
    Trial("mode", _mode, _normal(9, 4)),
    Trial("order_statistics", _order_statistics, _normal(12), [EDGES, [NAN] * 12, [NAN] * 11 + [1.0]]),
    Trial("roll", _roll, _normal(5, 6)),
    Trial("rrelu", _rrelu, _normal(12), [EDGES]),
    Trial("running_extremes", _running_extremes, _normal(12), [EDGES, [NAN] * 12]),
    Trial("scatter_reduce", _scatter_reduce, _normal(12)),
    Trial("searchsorted", _searchsorted, _normal(12), [EDGES]),
    Trial(
        "special_functions",
        _special_functions,
        _normal(12),
        [EDGES, [0.5, 1, 2, -1, -2, -2.5, 8, 30, 7.99, 1e-3, -100.5, 3]],
    ),
)
