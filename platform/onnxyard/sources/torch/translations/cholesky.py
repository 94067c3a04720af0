"""Cholesky factors and triangular systems of small matrices. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.unrolled import (
    LARGEST,
    cholesky,
    identity_like,
    no_error,
    size_of,
    solve_triangular,
    transposed,
    with_batch_of,
)

if TYPE_CHECKING:
    from onnxyard.sources.torch.writing import GraphValue


def _cholesky(matrix: GraphValue, *, upper: bool = False) -> GraphValue:
    rank, size = len(matrix.shape), size_of(matrix)
    factor = cholesky(transposed(matrix, rank) if upper else matrix, size)
    return transposed(factor, rank) if upper else factor


def _cholesky_ex(matrix: GraphValue, *, upper: bool = False, check_errors: bool = False) -> list[GraphValue]:  # noqa: ARG001 - a graph cannot raise
    return [_cholesky(matrix, upper=upper), no_error(matrix)]


def _older_cholesky(matrix: GraphValue, upper: bool = False) -> GraphValue:
    return _cholesky(matrix, upper=upper)


def _solve_triangular(
    matrix: GraphValue, right: GraphValue, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> GraphValue:
    rank, right_rank, size = len(matrix.shape), len(right.shape), size_of(matrix)
    if left:
        return solve_triangular(matrix, with_batch_of(right, matrix), size, upper=upper, unit=unitriangular)
    turned = with_batch_of(transposed(right, right_rank), matrix)  # X A = B is A' X' = B'
    solved = solve_triangular(transposed(matrix, rank), turned, size, upper=not upper, unit=unitriangular)
    return transposed(solved, max(rank, right_rank))


def _cholesky_solve(right: GraphValue, factor: GraphValue, upper: bool = False) -> GraphValue:
    rank, size = len(factor.shape), size_of(factor)
    lower = transposed(factor, rank) if upper else factor
    forward = solve_triangular(lower, with_batch_of(right, lower), size, upper=False, unit=False)
    return solve_triangular(transposed(lower, rank), forward, size, upper=True, unit=False)


def _cholesky_inverse(factor: GraphValue, upper: bool = False) -> GraphValue:
    return _cholesky_solve(identity_like(factor, size_of(factor)), factor, upper)


TRANSLATION = Translation(
    functions={
        "aten::linalg_cholesky": _cholesky,
        "aten::linalg_cholesky_ex": _cholesky_ex,
        "aten::cholesky": _older_cholesky,
        "aten::linalg_solve_triangular": _solve_triangular,
        "aten::cholesky_solve": _cholesky_solve,
        "aten::cholesky_inverse": _cholesky_inverse,
    },
    form="Cholesky decomposition and substitution, unrolled",
    max_error=2e-5,
    source="Golub & Van Loan, Matrix Computations, 4th edition, algorithms 4.2.1, 3.1.1 and 3.1.2",
    limits=f"matrices of a fixed size up to {LARGEST}; the error is for condition numbers up to 100 and grows with "
    "them; a matrix that is not positive definite gives NaN where torch raises",
)
