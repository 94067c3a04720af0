"""From the bytes of a V2 infer request to tensors, strictly: every doubt is one clear InvalidRequestError."""

from __future__ import annotations

import json
import math
import reprlib
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from onnxyard.errors import InvalidRequestError
from onnxyard.tensors.dtypes import numpy_dtype
from onnxyard_serving.datatypes import ONNX_OF, v2_datatype
from onnxyard_serving.statuses import TooLargeError

if TYPE_CHECKING:
    from onnxyard.lifecycle.signature import Signature, TensorSpec

MAX_ELEMENTS = 1 << 24
"""Elements of one tensor, checked before anything is allocated for it."""
MAX_ID = 256
"""Characters of a client's `id`."""

_short = reprlib.Repr()
"""What a client sent is shown in messages, but never more than a line of it."""
_short.maxstring = 80


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A decoded request.

    Attributes:
        client_id: The client's `id`; None where it gave none.
        parameters: The request's own parameters, which are accepted and not interpreted.
        inputs: Arrays by name, of the signature's dtypes and shapes.
        outputs: Names of the outputs the client wants, in its order; None for all.
    """

    client_id: str | None
    parameters: dict[str, object]
    inputs: dict[str, np.ndarray]
    outputs: tuple[str, ...] | None

    @property
    def rows(self) -> int:
        """The batch size: the first input's first axis, 1 for a scalar."""
        first = next(iter(self.inputs.values()), None)
        return 1 if first is None or first.ndim == 0 else first.shape[0]


def parse_json(body: bytes, *, nan: bool = False) -> dict[str, Any]:
    """The body as one JSON object (RFC 8259): no NaN, no Infinity, no member twice.

    Args:
        body: The request's.
        nan: Whether `NaN` is let pass, as tritonclient writes a missing number; where it may stand is told later.

    Raises:
        InvalidRequestError: it is not that.
    """
    try:
        constants = _nan_only if nan else _refuse_constant
        document = json.loads(body.decode(), parse_constant=constants, object_pairs_hook=_unique)
    except RecursionError:
        raise InvalidRequestError("The body is nested too deeply.") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among others
        raise InvalidRequestError(f"The body is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise InvalidRequestError("The body must be a JSON object.")
    return document


def decode(document: dict[str, Any], signature: Signature) -> InferRequest:
    """Check a parsed body against the endpoint's signature and build its tensors.

    Unknown members are ignored, as the protocol's extensions ask; known ones must be right. Where an input's values may
    be missing, JSON's `null` stands for NaN, or for the empty text.

    Args:
        document: The parsed body.
        signature: The raw inputs and the answers of the version that will reply.

    Raises:
        InvalidRequestError: a member is missing or wrong; the message names it.
        TooLargeError: a shape asks for more than MAX_ELEMENTS.
    """
    client_id = document.get("id")
    if client_id is not None:
        client_id = _text(client_id, "id")
        if len(client_id) > MAX_ID:
            raise InvalidRequestError(f"'id' has {len(client_id)} characters; {MAX_ID} are allowed.")
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidRequestError("'parameters' must be an object.")
    return InferRequest(client_id, parameters, _inputs(document, signature), _outputs(document, signature))


def _inputs(document: dict[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for entry in _objects(document.get("inputs"), "inputs"):
        name = _text(entry.get("name"), "inputs[].name")
        spec = signature.input(name)
        if spec is None:
            known = ", ".join(each.name for each in signature.inputs)
            raise InvalidRequestError(f"There is no input {_short.repr(name)}.", remedy=f"The inputs are: {known}.")
        if name in arrays:
            raise InvalidRequestError(f"The input {name!r} is given twice.")
        arrays[name] = _tensor(entry, spec)
    missing = [spec.name for spec in signature.inputs if spec.name not in arrays]
    if missing:
        raise InvalidRequestError(f"The input {missing[0]!r} is missing.")
    return {spec.name: arrays[spec.name] for spec in signature.inputs}


def _outputs(document: dict[str, Any], signature: Signature) -> tuple[str, ...] | None:
    wanted = document.get("outputs")
    if wanted is None or wanted == []:
        return None
    known = [spec.name for spec in signature.outputs]
    names: list[str] = []
    for entry in _objects(wanted, "outputs"):
        name = _text(entry.get("name"), "outputs[].name")
        if name not in known:
            raise InvalidRequestError(
                f"There is no output {_short.repr(name)}.", remedy=f"The outputs are: {', '.join(known)}."
            )
        if name in names:
            raise InvalidRequestError(f"The output {name!r} is asked for twice.")
        options = entry.get("parameters", {})
        if isinstance(options, dict) and "classification" in options:
            raise InvalidRequestError(f"The output {name!r}: the classification extension is not supported.")
        names.append(name)
    return tuple(names)


def _tensor(entry: dict[str, Any], spec: TensorSpec) -> np.ndarray:
    datatype = entry.get("datatype")
    if not isinstance(datatype, str) or datatype not in ONNX_OF:
        raise InvalidRequestError(
            f"The input {spec.name!r} has no valid datatype.", remedy=f"It takes {v2_datatype(spec.dtype)}."
        )
    if ONNX_OF[datatype] != spec.dtype:
        raise InvalidRequestError(f"The input {spec.name!r} takes {v2_datatype(spec.dtype)}, not {datatype}.")
    shape = _shape(entry.get("shape"), spec)
    data = entry.get("data")
    options = entry.get("parameters", {})
    if isinstance(options, dict) and "binary_data_size" in options:
        raise InvalidRequestError(
            f"The input {spec.name!r} comes as binary data, which this server does not take.",
            remedy="Send it as JSON (binary_data=False).",
        )
    if not isinstance(data, list):
        raise InvalidRequestError(f"The input {spec.name!r} has no 'data' array.")
    flat = _flatten(data, shape, spec.name)
    return _array(flat, datatype, spec).reshape(shape)


def _shape(shape: object, spec: TensorSpec) -> tuple[int, ...]:
    if not isinstance(shape, list) or any(type(length) is not int or length < 1 for length in shape):
        raise InvalidRequestError(f"The shape of the input {spec.name!r} must be an array of positive integers.")
    if not spec.accepts(tuple(shape)):
        wanted = ", ".join(map(str, spec.shape))
        raise InvalidRequestError(f"The input {spec.name!r} has the shape {_short.repr(shape)}; it takes [{wanted}].")
    if math.prod(shape) > MAX_ELEMENTS:
        raise TooLargeError(f"The input {spec.name!r} has more than {MAX_ELEMENTS} elements.")
    return tuple(shape)


def _flatten(data: list[Any], shape: tuple[int, ...], name: str) -> list[Any]:
    """The elements in row-major order; `data` is flat already or nested exactly as `shape` says."""
    flat = data
    if data and isinstance(data[0], list):
        level: list[Any] = [data]
        for axis, length in enumerate(shape):
            if any(type(part) is not list or len(part) != length for part in level):
                raise InvalidRequestError(
                    f"The data of the input {name!r} is nested, but not in the shape {list(shape)} (axis {axis})."
                )
            level = list(chain.from_iterable(level))
        flat = level
    if len(flat) != math.prod(shape):
        raise InvalidRequestError(
            f"The data of the input {name!r} has {len(flat)} elements; the shape {list(shape)} has {math.prod(shape)}."
        )
    return flat


def _array(flat: list[Any], datatype: str, spec: TensorSpec) -> np.ndarray:
    dtype = numpy_dtype(spec.dtype)
    if spec.missing and None in flat:
        absent: object = "" if datatype == "BYTES" else math.nan
        flat = [absent if value is None else value for value in flat]
    kinds = set(map(type, flat))
    if datatype == "BYTES":
        _allow(kinds, {str}, "strings", spec)
        for text in flat:
            _text(text, f"data of {spec.name}")
        array = np.empty(len(flat), dtype=object)
        array[:] = flat
        return array
    if datatype == "BOOL":
        _allow(kinds, {bool}, "true or false", spec)
        return np.array(flat, dtype=dtype)
    if dtype.kind in "iu":
        _allow(kinds, {int}, "integers", spec)
        limits = np.iinfo(dtype)
        if min(flat) < limits.min or max(flat) > limits.max:
            raise InvalidRequestError(
                f"The input {spec.name!r} holds a value outside {datatype}'s range ({limits.min} to {limits.max})."
            )
        return np.array(flat, dtype=dtype)
    _allow(kinds, {int, float}, "numbers", spec)
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=np.float64).astype(dtype)
    except OverflowError:  # an integer beyond float64
        array = np.array([np.inf])
    known = ~np.isnan(array) if spec.missing else np.ones(len(array), dtype=bool)
    if not np.isfinite(array[known]).all():
        raise InvalidRequestError(f"The input {spec.name!r} holds a number outside {datatype}'s range.")
    return array


def _allow(kinds: set[type], allowed: set[type], words: str, spec: TensorSpec) -> None:
    if not kinds <= allowed:
        raise InvalidRequestError(f"The data of the input {spec.name!r} must be {words}.")


def _objects(value: object, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise InvalidRequestError(f"{what!r} must be a non-empty array of objects.")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"{what!r} must be a string.")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON may spell half a surrogate pair, which is no text
        raise InvalidRequestError(f"{what!r} holds a lone surrogate, which is no text.") from None
    return value


def _nan_only(constant: str) -> float:
    return math.nan if constant == "NaN" else _refuse_constant(constant)


def _refuse_constant(constant: str) -> NoReturn:
    raise InvalidRequestError(f"The body holds {constant}, which is no JSON number.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidRequestError(f"The member {_short.repr(twice)} is given twice.")
    return members
