"""What a module's forward gives, as named tensors: tuples, lists, dicts, dataclasses, and these inside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch

from onnxyard.errors import UnsupportedModelError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHERE = "[project] outputs"


def flatten(given: object, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """The tensors that `forward` gave, by name and in the order of `names`.

    A dict's, a dataclass's and a named tuple's tensors go by their own names, so their order does not matter; inside
    one another the names are joined by a dot (`boxes.left`, `levels.0`). A plain tuple's and list's go by position.
    bfloat16 is widened to float32, which is exact: numpy and ONNX Runtime's Python cannot hold it.

    Args:
        given: What `forward` returned.
        names: The outputs' names.

    Raises:
        UserCodeError: other outputs than these, or one that is no tensor.
        UnsupportedModelError: an output that is asked for is None (an optional one) or a sequence.
    """
    leaves = dict(_leaves(given))
    named = _named(given)
    if named and set(names) <= leaves.keys():
        extra = [path for path, value in leaves.items() if path not in names and value is not None]
        if extra:
            raise UserCodeError(
                f"forward gives {extra[0]!r} too, which the project does not name.",
                where=_WHERE,
                remedy=f"Name every output ({', '.join(leaves)}), or return only what is wanted.",
            )
        chosen = {name: leaves[name] for name in names}
    else:
        if named:
            _refuse_other_names(leaves, names)
        chosen = _by_position(leaves, names)
    return {name: _tensor(name, value) for name, value in chosen.items()}


def names_of(given: object) -> tuple[str, ...]:
    """Names for what `forward` gave where nobody named them: its own ones, else `output` or `output_0`, `output_1`."""
    leaves = [(path, value) for path, value in _leaves(given) if value is not None]
    if len(leaves) == 1 and not _named(given):
        return ("output",)
    return tuple(path if _named(given) else f"output_{path.replace('.', '_')}" for path, _ in leaves)


@contextmanager
def flat(module: torch.nn.Module, names: Sequence[str]) -> Iterator[None]:
    """While inside, `module` gives a tuple of its tensors in the order of `names`: what an exporter understands.

    Only the instance's `forward` is exchanged, so the paths of its parts and the names of its weights stay.
    """
    forward = module.forward

    @wraps(forward)
    def flat_forward(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, ...]:  # noqa: ANN401 - whatever the model takes
        return tuple(flatten(forward(*args, **kwargs), names).values())

    own = "forward" in vars(module)
    module.forward = flat_forward
    try:
        yield
    finally:
        if own:
            module.forward = forward
        else:
            del module.forward


def _leaves(given: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Everything that holds no further values, by its path; the path of a lone tensor is empty."""
    parts = _parts(given)
    if parts is None:
        yield path, given
        return
    for name, part in parts:
        yield from _leaves(part, f"{path}.{name}" if path else name)


def _parts(given: object) -> list[tuple[str, object]] | None:
    if isinstance(given, Mapping):
        return [(str(key), value) for key, value in given.items()]
    if is_dataclass(given) and not isinstance(given, type):
        return [(field.name, getattr(given, field.name)) for field in fields(given)]
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return list(zip(given._fields, given, strict=True))
    if isinstance(given, (tuple, list)):
        return [(str(number), value) for number, value in enumerate(given)]
    return None


def _named(given: object) -> bool:
    """Whether the outermost structure has names of its own."""
    return _parts(given) is not None and (not isinstance(given, (tuple, list)) or hasattr(given, "_fields"))


def _by_position(leaves: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    if len(leaves) != len(names):
        raise UserCodeError(
            f"forward gave {len(leaves)} outputs, the project names {len(names)}.",
            where=_WHERE,
            remedy=f"It gives {', '.join(map(_place, leaves))}." if len(leaves) > 1 else "",
        )
    return dict(zip(names, leaves.values(), strict=True))


def _refuse_other_names(leaves: Mapping[str, object], names: Sequence[str]) -> None:
    for name in names:
        inside = [path for path in leaves if path.startswith(f"{name}.")]
        if inside:
            raise UnsupportedModelError(
                f"The output {name!r} is a collection of {len(inside)} values, not one tensor.",
                where=_WHERE,
                remedy=f"Name what is in it: {', '.join(inside)}; or stack it into one tensor.",
            )
    raise UserCodeError(
        f"forward gave {', '.join(leaves)}; the project names {', '.join(names)}.",
        where=_WHERE,
        remedy="Name what forward gives.",
    )


def _tensor(name: str, value: object) -> torch.Tensor:
    if value is None:
        raise UnsupportedModelError(
            f"The output {name!r} is None: an optional output has no place in a graph.",
            where=_WHERE,
            remedy="Return a tensor always, or leave this output away.",
        )
    if not isinstance(value, torch.Tensor):
        raise UserCodeError(f"forward gave a {type(value).__name__} for {name!r}, not a tensor.", where=_WHERE)
    return value.float() if value.dtype == torch.bfloat16 else value


def _place(path: str) -> str:
    return f"number {path}" if path.isdecimal() else path
