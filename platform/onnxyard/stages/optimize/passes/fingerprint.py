"""Whether two graphs are the same one, however their tensors are called and their nodes are sorted.

An optimizer that finds nothing to do still writes other bytes: it renames, sorts, turns `Constant` nodes into
initializers, spells default attributes out. None of that changes what a runtime does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, defs, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def fingerprint(model: onnx.ModelProto) -> str:
    """Digest a model, its weights in memory, up to names of inner tensors and the order of nodes (64 hex digits).

    Inputs and outputs count by name, weights by value, nodes by what they compute from. Each value's digest is made of
    its node's and of those it is computed from (a Merkle tree over the graph, as in Merkle, CRYPTO '87).
    """
    opsets = {_plain(entry.domain): entry.version for entry in model.opset_import}
    walk = _Walk(opsets)
    outside = {value.name: _digest("input", value.name) for value in model.graph.input}
    main = walk.graph(model.graph, outside)
    functions = sorted(function.SerializeToString(deterministic=True) for function in model.functions)
    used = sorted((domain, opsets.get(domain, 0)) for domain in walk.domains)
    return _digest("model", main, repr(used), *functions).hex()


class _Walk:
    def __init__(self, opsets: Mapping[str, int]) -> None:
        self._opsets = opsets
        self.domains: set[str] = set()

    def graph(self, graph: onnx.GraphProto, outside: Mapping[str, bytes]) -> bytes:
        """Digest a graph.

        Args:
            graph: The main graph, or one in a node's attribute.
            outside: The values it is given: by name, their digests.
        """
        values = dict(outside)
        parts: Counter[bytes] = Counter()
        for tensor in (*graph.initializer, *(s.values for s in graph.sparse_initializer)):
            content = _digest("constant", *_content(tensor))
            parts[content] += 1
            values.setdefault(tensor.name, content)  # the default of an input keeps the input's digest
        for node in graph.node:
            constant = _constant(node)
            if constant is not None:
                values[node.output[0]] = _digest("constant", *constant)
                parts[values[node.output[0]]] += 1
                continue
            computed = self._node(node, values)
            parts[computed] += 1
            values.update({name: _digest("output", computed, str(at)) for at, name in enumerate(node.output) if name})
        outputs = [_digest(value.name, values.get(value.name, b"")) for value in graph.output]
        return _digest("graph", *(_digest(part, str(count)) for part, count in sorted(parts.items())), *outputs)

    def _node(self, node: onnx.NodeProto, values: Mapping[str, bytes]) -> bytes:
        domain = _plain(node.domain)
        self.domains.add(domain)
        inputs = [values.get(name, b"") if name else b"none" for name in node.input]
        while inputs and inputs[-1] == b"none":
            inputs.pop()
        attributes = sorted(self._attributes(node, domain, values))
        return _digest("node", domain, node.op_type, node.overload, str(len(inputs)), *inputs, *attributes)

    def _attributes(self, node: onnx.NodeProto, domain: str, values: Mapping[str, bytes]) -> Iterator[bytes]:
        defaults = _defaults(node.op_type, self._opsets.get(domain, 0), domain)
        for attribute in node.attribute:
            value = self._attribute(attribute, values)
            if defaults.get(attribute.name) != value:
                yield _digest(attribute.name, value)

    def _attribute(self, attribute: onnx.AttributeProto, values: Mapping[str, bytes]) -> bytes:
        if attribute.type == AttributeProto.TENSOR:
            return _digest(*_content(attribute.t))
        inner = [attribute.g] if attribute.type == AttributeProto.GRAPH else list(attribute.graphs)
        if not inner:
            return _spelled(attribute)
        return _digest(
            *(
                self.graph(g, {**values, **{v.name: _digest("inner", str(at)) for at, v in enumerate(g.input)}})
                for g in inner
            )
        )


def _defaults(operator: str, version: int, domain: str) -> dict[str, bytes]:
    try:
        schema = defs.get_schema(operator, version, domain)
    except defs.SchemaError:  # an operator of a runtime's own
        return {}
    return {
        name: _spelled(entry.default_value)
        for name, entry in schema.attributes.items()
        if entry.default_value.type != AttributeProto.UNDEFINED
    }


def _spelled(attribute: onnx.AttributeProto) -> bytes:
    plain = AttributeProto()
    plain.CopyFrom(attribute)
    plain.doc_string = ""
    return bytes(plain.SerializeToString(deterministic=True))


def _constant(node: onnx.NodeProto) -> tuple[str | bytes, ...] | None:
    """What a `Constant` node gives, as `_content`; None for other nodes."""
    if node.op_type != "Constant" or _plain(node.domain) or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return _content(attribute.t)
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if attribute.name not in kinds:
        return None
    array = np.array(onnx.helper.get_attribute_value(attribute), dtype=kinds[attribute.name])
    return _content(numpy_helper.from_array(array))


def _content(tensor: onnx.TensorProto) -> tuple[str | bytes, ...]:
    kind = (str(tensor.data_type), repr(list(tensor.dims)))
    if tensor.data_type == TensorProto.STRING:
        return (*kind, *tensor.string_data)
    if tensor.HasField("raw_data"):
        return (*kind, tensor.raw_data)
    return (*kind, numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data)


def _plain(domain: str) -> str:
    """The default domain has two names."""
    return "" if domain == "ai.onnx" else domain


def _digest(*parts: str | bytes) -> bytes:
    sha = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        sha.update(len(content).to_bytes(8, "little"))
        sha.update(content)
    return sha.digest()
