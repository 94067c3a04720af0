"""The exponential and the QR decomposition of small matrices. Torch 2.13 has no ONNX form for them."""

from __future__ import annotations

import math

from onnxscript import ir

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.unrolled import LARGEST, column_of, identity_like, indices, row_of, size_of, transposed
from onnxyard.sources.torch.writing import GraphValue, op

_TERMS = 12
"""Of Taylor's series: with a norm of 1/2 the rest is below 2e-14."""
_SQUARINGS = 10
"""The largest norm is 2^9 = 512: beyond it float32's exponential overflows or vanishes anyway."""


def _exponential(matrix: GraphValue) -> GraphValue:
    """Scaling and squaring with Taylor's series (Moler & Van Loan, Nineteen Dubious Ways, SIAM Review 45, 2003)."""
    one = op.CastLike(1.0, matrix)
    size = matrix.shape[-1]
    if not isinstance(size, int):
        raise UnsupportedModelError("The matrix exponential needs a matrix of fixed size.")
    eye = identity_like(matrix, size)
    norm = op.ReduceMax(op.ReduceSum(op.Abs(matrix), [-2], keepdims=1), [-1], keepdims=1)
    least = op.CastLike(2.0**-20, matrix)
    halvings = op.Ceil(op.Div(op.Log(op.Max(norm, least)), op.CastLike(math.log(2.0), matrix)))
    halvings = op.Max(op.Add(halvings, one), op.CastLike(0.0, matrix))
    halvings = op.Min(halvings, op.CastLike(float(_SQUARINGS), matrix))
    scaled = op.Div(matrix, op.Pow(op.CastLike(2.0, matrix), halvings))
    value = eye
    for term in range(_TERMS, 0, -1):
        value = op.Add(eye, op.Div(op.MatMul(scaled, value), op.CastLike(float(term), matrix)))
    for step in range(_SQUARINGS):
        again = op.Greater(halvings, op.CastLike(float(step), matrix))
        value = op.Where(again, op.MatMul(value, value), value)
    return value


def _qr(matrix: GraphValue, mode: str = "reduced") -> list[GraphValue]:
    """Q and R by Householder's reflections, with LAPACK's signs (Golub & Van Loan, algorithm 5.2.1)."""
    rank, rows = len(matrix.shape), size_of(matrix)
    columns = matrix.shape[-1]
    if not isinstance(columns, int) or columns > LARGEST or mode == "r":
        raise UnsupportedModelError(f"A QR decomposition is unrolled up to {LARGEST} columns, with its Q.")
    zero, one = op.CastLike(0.0, matrix), op.CastLike(1.0, matrix)
    places = indices(rows)
    least = min(rows, columns)
    eye = op.CastLike(op.Constant(value=_identity(rows)), matrix)
    left = op.Expand(eye, op.Concat(op.Shape(matrix, end=rank - 2), op.Constant(value_ints=[rows, rows]), axis=0))
    upper = matrix
    for step in range(min(least, rows - 1)):
        tail = op.Where(op.GreaterOrEqual(places, step), column_of(upper, step), zero)
        # Scaled first, so that the squares of tiny or huge numbers stay in range; a reflection has no scale.
        largest = op.ReduceMax(op.Abs(tail), [-2], keepdims=1)
        tail = op.Div(tail, op.Where(op.Equal(largest, zero), one, largest))
        head = row_of(tail, step)
        norm = op.Sqrt(op.ReduceSum(op.Mul(tail, tail), [-2], keepdims=1))
        target = op.Where(op.Less(head, zero), norm, op.Neg(norm))
        reflector = op.Where(op.Equal(places, step), op.Sub(head, target), tail)
        length = op.ReduceSum(op.Mul(reflector, reflector), [-2], keepdims=1)
        below = op.ReduceMax(op.Abs(op.Where(op.Greater(places, step), tail, zero)), [-2], keepdims=1)
        # Nothing below the diagonal: no reflection, and the sign stays.
        still = op.Equal(below, zero)
        factor = op.Where(still, zero, op.Div(op.CastLike(2.0, matrix), op.Where(still, one, length)))
        turned = transposed(reflector, rank)
        upper = op.Sub(upper, op.MatMul(op.Mul(factor, reflector), op.MatMul(turned, upper)))
        left = op.Sub(left, op.MatMul(op.MatMul(left, op.Mul(factor, reflector)), turned))
    if mode == "reduced":
        left, upper = op.Slice(left, [0], [least], [-1]), op.Slice(upper, [0], [least], [-2])
    return [left, op.Trilu(upper, upper=1)]


def _identity(size: int) -> GraphValue:
    return ir.tensor([[float(row == column) for column in range(size)] for row in range(size)], dtype=ir.DataType.FLOAT)


TRANSLATION = Translation(
    functions={
        "aten::linalg_matrix_exp": _exponential,
        "aten::matrix_exp": _exponential,
        "aten::linalg_qr": _qr,
    },
    form="Taylor's series with scaling and squaring; Householder's reflections, unrolled",
    max_error=2e-5,
    source="Moler & Van Loan, SIAM Review 45, 2003; Golub & Van Loan, Matrix Computations, algorithm 5.2.1",
    limits=f"fixed sizes; QR up to {LARGEST} rows and columns; exponentials of 1-norms up to 512",
)
