"""A pytree of arrays on disk: the arrays as tensors, the nesting as JSON. Never a pickle.

FOLDER/tree.json    {"dict": {"layers": {"list": [{"tensor": "layers/0"}, {"none": null}]}}}
FOLDER/tensors/     `onnxyard.tensors.files`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import ArtifactCorruptError, UserCodeError
from onnxyard.tensors.files import read_tensors, write_bytes, write_tensors

if TYPE_CHECKING:
    from pathlib import Path

_TREE = "tree.json"
_TENSORS = "tensors"


def write_parameters(folder: Path, parameters: object) -> None:
    """Write a tree of dicts (with text keys), lists, tuples and None whose leaves are arrays or numbers.

    Raises:
        UserCodeError: something else is in it, or a value is not finite; names where.
    """
    tensors: dict[str, np.ndarray] = {}
    tree = _plan(parameters, "", tensors)
    write_tensors(folder / _TENSORS, tensors)
    write_bytes(folder / _TREE, json.dumps(tree).encode())


def read_parameters(folder: Path) -> Any:
    """The tree again, its leaves as numpy arrays. Raises ArtifactCorruptError."""
    tensors = read_tensors(folder / _TENSORS)
    try:
        return _build(json.loads((folder / _TREE).read_bytes()), tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactCorruptError(f"The parameters' tree cannot be read: {error!r}.", where=_TREE) from error


def _plan(node: object, path: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    if node is None:
        return {"none": None}
    if type(node) is dict:
        if bad := next((key for key in node if not isinstance(key, str)), None):
            raise _refused(f"the key {bad!r}", path)
        return {"dict": {key: _plan(value, f"{path}/{_escaped(key)}", tensors) for key, value in node.items()}}
    if type(node) in {list, tuple}:
        kind = "list" if isinstance(node, list) else "tuple"
        return {kind: [_plan(value, f"{path}/{i}", tensors) for i, value in enumerate(node)]}  # type: ignore[arg-type, var-annotated]  # one of the two
    if not hasattr(node, "__array__") and not isinstance(node, (bool, int, float)):
        raise _refused(f"a {type(node).__name__}", path)
    array = np.asarray(node)
    name = path.removeprefix("/")
    if array.dtype.kind not in "biuf" and "float" not in array.dtype.name:
        raise _refused(f"an array of {array.dtype}", path)
    if not np.isfinite(array.astype(np.float64)).all():
        raise UserCodeError(
            f"The fitted parameter {name!r} holds NaN or infinity: training diverged.",
            remedy="Lower the learning rate, or clip the gradients.",
        )
    tensors[name] = array
    return {"tensor": name}


def _escaped(key: str) -> str:
    """A key in a path, as RFC 6901 writes it: no two places have one path."""
    return key.replace("~", "~0").replace("/", "~1")


def _build(tree: dict[str, Any], tensors: dict[str, np.ndarray]) -> Any:
    [(kind, inner)] = tree.items()
    if kind == "dict":
        return {key: _build(value, tensors) for key, value in inner.items()}
    if kind in {"list", "tuple"}:
        made = [_build(value, tensors) for value in inner]
        return made if kind == "list" else tuple(made)
    return None if kind == "none" else tensors[inner]


def _refused(what: str, path: str) -> UserCodeError:
    return UserCodeError(
        f"train returned parameters with {what} at {path or '/'}, which cannot be stored without pickle.",
        remedy="Give dicts with text keys, lists and tuples of arrays (flax: nnx.to_pure_dict(state)).",
    )
