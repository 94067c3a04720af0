"""Inverses, linear systems and log-determinants of small matrices. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

from onnxscript import ir

from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.unrolled import (
    LARGEST,
    column_of,
    identity_like,
    indices,
    lu,
    no_error,
    row_of,
    size_of,
    solve,
    transposed,
    with_batch_of,
)
from onnxyard.sources.torch.writing import GraphValue, op


def _inverse(matrix: GraphValue) -> GraphValue:
    size = size_of(matrix)
    return solve(matrix, identity_like(matrix, size), size)


def _inverse_ex(matrix: GraphValue, *, check_errors: bool = False) -> list[GraphValue]:  # noqa: ARG001 - a graph cannot raise
    return [_inverse(matrix), no_error(matrix)]


def _solve(matrix: GraphValue, right: GraphValue, *, left: bool = True) -> GraphValue:
    rank, size = len(matrix.shape), size_of(matrix)
    is_vector = len(right.shape) == 1 or list(right.shape) == list(matrix.shape[:-1])
    right_rank = len(right.shape) + is_vector
    if is_vector:
        right = op.Unsqueeze(right, [-1])
    if left:
        solved = solve(matrix, with_batch_of(right, matrix), size)
    else:  # X A = B is A' X' = B'
        turned = with_batch_of(transposed(right, right_rank), matrix)
        solved = transposed(solve(transposed(matrix, rank), turned, size), max(rank, right_rank))
    return op.Squeeze(solved, [-1]) if is_vector else solved


def _solve_ex(
    matrix: GraphValue,
    right: GraphValue,
    *,
    left: bool = True,
    check_errors: bool = False,  # noqa: ARG001 - a graph cannot raise
) -> list[GraphValue]:
    return [_solve(matrix, right, left=left), no_error(matrix)]


def _lu_factor(matrix: GraphValue, *, pivot: bool = True) -> list[GraphValue]:  # noqa: ARG001 - torch knows no other on the CPU
    packed, _, exchanges = lu(matrix, size_of(matrix))
    rows = op.Add(op.Squeeze(op.Concat(*exchanges, axis=-2), [-1]), 1)
    return [packed, op.Cast(rows, to=ir.DataType.INT32)]


def _lu_factor_ex(matrix: GraphValue, *, pivot: bool = True, check_errors: bool = False) -> list[GraphValue]:  # noqa: ARG001 - as above
    return [*_lu_factor(matrix), no_error(matrix)]


def _slogdet(matrix: GraphValue) -> list[GraphValue]:
    size = size_of(matrix)
    packed, _, exchanges = lu(matrix, size)
    diagonal = op.Concat(*(column_of(row_of(packed, step), step) for step in range(size)), axis=-2)
    moved = op.Not(op.Equal(op.Concat(*exchanges, axis=-2), indices(size)))
    turns = op.Where(moved, op.CastLike(-1.0, matrix), op.CastLike(1.0, matrix))
    sign = op.ReduceProd(op.Mul(op.Sign(diagonal), turns), [-2, -1], keepdims=0)
    return [sign, op.ReduceSum(op.Log(op.Abs(diagonal)), [-2, -1], keepdims=0)]


def _logdet(matrix: GraphValue) -> GraphValue:
    sign, size = _slogdet(matrix)
    return op.Add(size, op.Log(sign))


TRANSLATION = Translation(
    functions={
        "aten::linalg_inv": _inverse,
        "aten::linalg_inv_ex": _inverse_ex,
        "aten::inverse": _inverse,
        "aten::linalg_solve": _solve,
        "aten::linalg_solve_ex": _solve_ex,
        "aten::linalg_lu_factor": _lu_factor,
        "aten::linalg_lu_factor_ex": _lu_factor_ex,
        "aten::linalg_slogdet": _slogdet,
        "aten::slogdet": _slogdet,
        "aten::logdet": _logdet,
    },
    form="LU decomposition with partial pivoting and substitution, unrolled",
    max_error=2e-5,
    source="Golub & Van Loan, Matrix Computations, 4th edition, algorithms 3.4.1, 3.1.1 and 3.1.2",
    limits=f"matrices of a fixed size up to {LARGEST}; the error is for condition numbers up to 100 and grows with "
    "them; a singular matrix gives infinities where torch raises",
)
