"""Small matrices."""

from __future__ import annotations

import torch
from torch import linalg, nn

from benchmarks.export.case import REFUSED, case, definite


@case("linear-algebra/inverse", x=definite(4))
class Inverse(nn.Module):
    def forward(self, x):
        return linalg.inv(x)


@case("linear-algebra/solve", x=definite(6), b=(6, 2))
class Solve(nn.Module):
    def forward(self, x, b):
        return linalg.solve(x, b)


@case("linear-algebra/cholesky", x=definite(5))
class Cholesky(nn.Module):
    def forward(self, x):
        return linalg.cholesky(x)


@case("linear-algebra/gaussian-log-density", x=definite(4), point=(4,))
class Gaussian(nn.Module):
    def forward(self, x, point):
        factor = linalg.cholesky(x)
        scaled = linalg.solve_triangular(factor, point[..., None], upper=False)[..., 0]
        return -0.5 * (scaled**2).sum(-1) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


@case("linear-algebra/determinants", x=definite(4), outputs=("det", "sign", "log"))
class Determinants(nn.Module):
    def forward(self, x):
        return linalg.det(x), *linalg.slogdet(x)


@case("linear-algebra/qr", x=(5, 3), outputs=("q", "r"))
class Qr(nn.Module):
    def forward(self, x):
        return linalg.qr(x)


@case("linear-algebra/matrix-exponential", x=(4, 4))
class Exponential(nn.Module):
    def forward(self, x):
        return linalg.matrix_exp(x)


@case("linear-algebra/matrix-power", x=definite(4))
class Power(nn.Module):
    def forward(self, x):
        return linalg.matrix_power(x, 5)


class Whitening(nn.Module):
    def forward(self, x):
        values, vectors = linalg.eigh(x)  # refused
        return vectors @ torch.diag_embed(values.rsqrt())


@case("linear-algebra/eigenvectors", x=definite(4), outcome=REFUSED, path="whiten", finding="unsupported-operator")
class Whitened(nn.Module):
    def __init__(self):
        super().__init__()
        self.whiten = Whitening()

    def forward(self, x):
        return self.whiten(x).abs()


@case("linear-algebra/singular-values", x=(4, 3), outcome=REFUSED, finding="unsupported-operator")
class Singular(nn.Module):
    def forward(self, x):
        return linalg.svdvals(x)  # refused
