"""Max pooling as ONNX Runtime can run it.

jax2onnx 0.17 writes `jax.lax.reduce_window` with `max` as a MaxPool whose window spans every axis, batch and channels
too, between two Unsqueeze and a Squeeze. Of an image's [batch, height, width, channels] these are four axes, and ONNX
Runtime pools over three at most. Along an axis with a window of one nothing is pooled, so two such axes can stand where
MaxPool has its batch and channels: the same maxima over the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from onnx import helper

from onnxyard.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

REMEDY = "Max pooling (jax.lax.reduce_window) over the pooled axes alone, instead of over all of them."
_STILL = (1, 1, 0, 0)
"""Window, stride and pads of an axis that is not pooled."""
_RUNS = 3
"""Axes that ONNX Runtime's kernel pools over at most (`Unsupported pooling size` beyond)."""


class _Pooling(NamedTuple):
    """What jax2onnx writes for one `reduce_window`, in order."""

    first: onnx.NodeProto
    second: onnx.NodeProto
    pool: onnx.NodeProto
    squeeze: onnx.NodeProto


def mend(graph: onnx.GraphProto, origins: Mapping[str, Mapping[str, str]]) -> bool:
    """Rewrite, in place, every max pooling over more axes than can be run.

    Args:
        graph: As jax2onnx wrote it. Tensors keep their names.
        origins: By tensor: its `source`, for a refusal.

    Returns:
        Whether there was one.

    Raises:
        UnsupportedModelError: fewer than two axes have a window of one, or more than three are left.
    """
    found = list(_poolings(graph))
    for first, second, pool, squeeze in found:
        given = {attribute.name: list(attribute.ints) for attribute in pool.attribute if attribute.ints}
        rank = len(given["kernel_shape"])
        pads = given.get("pads", [0] * 2 * rank)
        along = list(
            zip(given["kernel_shape"], given.get("strides", [1] * rank), pads[:rank], pads[rank:], strict=True)
        )
        still = [axis for axis, window in enumerate(along) if window == _STILL][:2]
        pooled = [axis for axis in range(rank) if axis not in still]
        if len(still) < 2 or len(pooled) > _RUNS:
            raise UnsupportedModelError(
                f"A max pooling has windows along {sum(window != _STILL for window in along)} of {rank} axes; ONNX "
                f"Runtime runs it along {_RUNS} at most, beside two axes without any.",
                where=origins.get(pool.output[0], {}).get("source", ""),
                remedy="Pool in two steps, or over a reshaped array.",
            )
        order = [*still, *pooled]
        _become_transpose(first, list(first.input)[:1], order)
        pool.input[0] = first.output[0]
        del pool.attribute[:]
        pool.attribute.extend(
            helper.make_attribute(name, [values[axis] for axis in (pooled if name != "pads" else _both(pooled, rank))])
            for name, values in given.items()
        )
        _become_transpose(squeeze, list(pool.output), [order.index(axis) for axis in range(rank)])
        graph.node.remove(second)
    return bool(found)


def _poolings(graph: onnx.GraphProto) -> Iterator[_Pooling]:
    makers = {name: node for node in graph.node for name in node.output}
    takers = {name: node for node in graph.node for name in node.input}
    for pool in graph.node:
        if pool.op_type != "MaxPool":
            continue
        kernel = next(attribute.ints for attribute in pool.attribute if attribute.name == "kernel_shape")
        second, squeeze = makers.get(pool.input[0]), takers.get(pool.output[0])
        first = makers.get(second.input[0]) if second is not None else None
        if len(kernel) > _RUNS and first is not None and second is not None and squeeze is not None:
            kinds = (first.op_type, second.op_type, squeeze.op_type)
            if kinds == ("Unsqueeze", "Unsqueeze", "Squeeze"):
                yield _Pooling(first, second, pool, squeeze)


def _both(axes: list[int], rank: int) -> list[int]:
    """Where the pads of some axes stand: those before, then those behind."""
    return [*axes, *(axis + rank for axis in axes)]


def _become_transpose(node: onnx.NodeProto, inputs: list[str], order: list[int]) -> None:
    """Keep a node's name, output and notes."""
    node.op_type = "Transpose"
    del node.input[:]
    node.input.extend(inputs)
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("perm", order))
