"""Scaled dot-product attention of any rank. Torch 2.13 refuses all but four axes.

Of four axes it exports, but a row whose mask lets nothing through is NaN-free in torch (zeros, "safe softmax") and
something else in the graph; this form gives zeros too.
"""

from __future__ import annotations

import math

from onnxscript import ir

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import GraphValue, op


def _attention(  # noqa: PLR0917 - torch's signature
    query: GraphValue,
    key: GraphValue,
    value: GraphValue,
    attn_mask: GraphValue = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> GraphValue:
    """[..., L, E], [..., S, E], [..., S, V] to [..., L, V] (Vaswani et al., Attention Is All You Need, 2017)."""
    if dropout_p:
        raise UnsupportedModelError(
            f"Attention drops {dropout_p:g} of its weights at random.", remedy="Set dropout_p to 0 outside training."
        )
    rank, width = len(query.shape), query.shape[-1]
    if enable_gqa:
        key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    if scale is None:
        root = math.sqrt(1 / math.sqrt(width)) if isinstance(width, int) else _dynamic_root(query)
    else:
        root = math.sqrt(abs(scale))
    factor = op.CastLike(op.Constant(value_float=root) if isinstance(root, float) else root, query)
    # Half of the scale on each side, as torch does: float16 scores then do not overflow.
    turned = op.Mul(op.Transpose(key, perm=[*range(rank - 2), rank - 1, rank - 2]), factor)
    scores = op.MatMul(op.Mul(query, factor), op.Neg(turned) if scale is not None and scale < 0 else turned)
    blocked = _not_seen_yet(query, key) if is_causal else None
    if attn_mask is not None and attn_mask.dtype == ir.DataType.BOOL:
        blocked = op.Not(attn_mask)
    elif attn_mask is not None:
        scores = op.Add(scores, op.CastLike(attn_mask, scores))
    if blocked is not None:
        scores = op.Where(blocked, op.CastLike(-math.inf, scores), scores)
    elif attn_mask is None:
        return op.MatMul(op.Softmax(scores, axis=-1), value)
    top = op.ReduceMax(scores, [-1], keepdims=1)
    nothing = op.Equal(top, op.CastLike(-math.inf, scores))
    weights = op.Where(nothing, op.CastLike(0.0, scores), op.Softmax(scores, axis=-1))
    return op.MatMul(weights, value)


def _dynamic_root(query: GraphValue) -> GraphValue:
    width = op.Cast(op.Squeeze(op.Shape(query, start=-1)), to=ir.DataType.FLOAT)
    return op.Sqrt(op.Reciprocal(op.Sqrt(width)))


def _not_seen_yet(query: GraphValue, key: GraphValue) -> GraphValue:
    """True above the diagonal of [L, S]."""
    rows, columns = (
        op.Range(op.Constant(value_int=0), op.Squeeze(op.Shape(side, start=-2, end=-1)), op.Constant(value_int=1))
        for side in (query, key)
    )
    return op.Greater(columns, op.Unsqueeze(rows, [1]))


def _repeat_heads(values: GraphValue, query: GraphValue) -> GraphValue:
    """Each head of [..., H, S, E] as often as the query has heads for it (grouped-query attention)."""
    heads, wanted = values.shape[-3], query.shape[-3]
    if not isinstance(heads, int) or not isinstance(wanted, int):
        raise UnsupportedModelError("Grouped-query attention needs a fixed number of heads.")
    places = [head for head in range(heads) for _ in range(wanted // heads)]
    return op.Gather(values, op.Constant(value_ints=places), axis=len(values.shape) - 3)


TRANSLATION = Translation(
    functions={"aten::scaled_dot_product_attention": _attention},
    form="MatMul, Softmax and Where over the last two axes, a row with nothing to attend to being 0",
    max_error=2e-6,
    source="torch.nn.functional.scaled_dot_product_attention's own definition; ATen's _safe_softmax",
    limits="no dropout; grouped-query attention needs a fixed number of heads",
    silent=True,
)
