"""Direct methods of linear algebra, unrolled: every step is a few ONNX nodes, so the size is fixed and small."""

from __future__ import annotations

import numpy as np
from onnxscript import ir

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.writing import GraphValue, op

LARGEST = 16
"""Rows of the largest matrix that is unrolled: an LU decomposition of it takes some 250 nodes."""


def size_of(matrix: GraphValue) -> int:
    """Rows of a matrix [..., n, m]. Raises UnsupportedModelError where n is dynamic or above LARGEST."""
    rows = matrix.shape[-2]
    if not isinstance(rows, int) or rows > LARGEST:
        raise UnsupportedModelError(
            f"A matrix of {rows} rows is not unrolled into the graph; the largest has {LARGEST}.",
            remedy="Solve it outside the model, or with iterations of MatMul.",
        )
    return rows


def indices(count: int) -> GraphValue:
    """0 to count - 1 as a column [count, 1], int64."""
    return op.Constant(value=ir.tensor(np.arange(count, dtype=np.int64)[:, None]))


def column_of(matrix: GraphValue, place: int) -> GraphValue:
    """[..., n, 1]."""
    return op.Slice(matrix, [place], [place + 1], [-1])


def row_of(matrix: GraphValue, place: int) -> GraphValue:
    """[..., 1, m]."""
    return op.Slice(matrix, [place], [place + 1], [-2])


def transposed(matrix: GraphValue, rank: int) -> GraphValue:
    """The last two axes exchanged."""
    return op.Transpose(matrix, perm=[*range(rank - 2), rank - 1, rank - 2])


def lu(matrix: GraphValue, size: int) -> tuple[GraphValue, GraphValue, list[GraphValue]]:
    """LU decomposition with partial pivoting (Golub & Van Loan, Matrix Computations, 4th ed., algorithm 3.4.1).

    Returns:
        L below the diagonal and U on and above it, [..., n, n]; the rows' order, int64 [..., n, 1]; and per step the
        row it was exchanged with, int64 [..., 1, 1] each. A zero pivot stays on the diagonal.
    """
    rows = indices(size)
    columns = op.Transpose(rows, perm=[1, 0])
    zero = op.CastLike(0.0, matrix)
    order = op.Expand(rows, op.Shape(column_of(matrix, 0)))
    exchanges = []
    for step in range(size):
        at_step = op.Equal(rows, step)
        below = op.Greater(rows, step)
        candidates = op.Where(op.GreaterOrEqual(rows, step), op.Abs(column_of(matrix, step)), op.CastLike(-1.0, matrix))
        largest = op.ArgMax(candidates, axis=-2, keepdims=1)
        exchange = op.Where(at_step, largest, op.Where(op.Equal(rows, largest), op.Constant(value_int=step), rows))
        matrix = op.GatherElements(matrix, op.Expand(exchange, op.Shape(matrix)), axis=-2)
        order = op.GatherElements(order, exchange, axis=-2)
        exchanges.append(largest)
        pivot = column_of(row_of(matrix, step), step)
        quotient = op.Div(column_of(matrix, step), op.Where(op.Equal(pivot, zero), op.CastLike(1.0, matrix), pivot))
        factors = op.Where(below, quotient, zero)
        right = op.Where(op.Greater(columns, step), row_of(matrix, step), zero)
        reduced = op.Sub(matrix, op.Mul(factors, right))
        matrix = op.Where(op.And(below, op.Equal(columns, step)), factors, reduced)
    return matrix, order, exchanges


def solve_triangular(matrix: GraphValue, right: GraphValue, size: int, *, upper: bool, unit: bool) -> GraphValue:
    """The solution of T X = B by substitution, row by row (Golub & Van Loan, algorithms 3.1.1 and 3.1.2).

    Args:
        matrix: [..., n, n], of which only the triangle is read.
        right: B, [..., n, m], its batch axes already those of the result.
        size: n.
        upper: Which triangle.
        unit: Whether its diagonal counts as ones.
    """
    rows = indices(size)
    zero = op.CastLike(0.0, right)
    for step in range(size - 1, -1, -1) if upper else range(size):
        row = row_of(right, step)
        solved = row if unit else op.Div(row, column_of(row_of(matrix, step), step))
        others = op.Less(rows, step) if upper else op.Greater(rows, step)
        reduced = op.Sub(right, op.Mul(op.Where(others, column_of(matrix, step), zero), solved))
        right = reduced if unit else op.Where(op.Equal(rows, step), solved, reduced)
    return right


def with_batch_of(right: GraphValue, matrix: GraphValue) -> GraphValue:
    """B [..., n, m] with the batch axes of A [..., n, n] broadcast into it."""
    return op.Expand(right, op.Concat(op.Shape(matrix, end=-2), op.Shape(right, start=-2), axis=0))


def solve(matrix: GraphValue, right: GraphValue, size: int) -> GraphValue:
    """The solution of A X = B, by LU; shapes as in `solve_triangular`."""
    packed, order, _ = lu(matrix, size)
    permuted = op.GatherElements(right, op.Expand(order, op.Shape(right)), axis=-2)
    forward = solve_triangular(packed, permuted, size, upper=False, unit=True)
    return solve_triangular(packed, forward, size, upper=True, unit=False)


def cholesky(matrix: GraphValue, size: int) -> GraphValue:
    """The lower factor of a positive-definite matrix, column by column (Golub & Van Loan, algorithm 4.2.1).

    Not positive definite: NaN, where torch raises.
    """
    rows = indices(size)
    zero = op.CastLike(0.0, matrix)
    columns = []
    for step in range(size):
        column = op.Where(op.GreaterOrEqual(rows, step), column_of(matrix, step), zero)
        column = op.Div(column, op.Sqrt(row_of(column, step)))
        columns.append(column)
        matrix = op.Sub(matrix, op.MatMul(column, _as_row(column)))
    return op.Concat(*columns, axis=-1)


def _as_row(column: GraphValue) -> GraphValue:
    """[..., n, 1] to [..., 1, n]."""
    return op.Unsqueeze(op.Squeeze(column, [-1]), [-2])


def no_error(matrix: GraphValue) -> GraphValue:
    """LAPACK's `info`, int32 [...]: 0, as the graph cannot raise."""
    return op.ConstantOfShape(op.Shape(matrix, end=-2), value=ir.tensor(np.zeros(1, dtype=np.int32)))


def identity_like(matrix: GraphValue, size: int) -> GraphValue:
    """Identities [..., n, n] of the same type and batch axes."""
    eye = op.CastLike(op.Constant(value=ir.tensor(np.eye(size, dtype=np.float32))), matrix)
    return op.Expand(eye, op.Shape(matrix))
