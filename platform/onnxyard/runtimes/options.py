"""A runtime's options: are there such, and what holds where nothing was chosen?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping


def settled(declared: Mapping[str, tuple[str, ...]], given: Mapping[str, str], *, of: str) -> dict[str, str]:
    """Every option with its value: the given one, else the default.

    Args:
        declared: By option, its values, the default first.
        given: What differs from the defaults.
        of: Whose options they are, for messages.

    Raises:
        InvalidRequestError: there is no such option, or it takes other values; names those there are.
    """
    for name, value in given.items():
        if name not in declared:
            known = f"It has {', '.join(sorted(declared))}." if declared else "It has none."
            raise InvalidRequestError(f"{of} has no option {name!r}.", remedy=known)
        if value not in declared[name]:
            raise InvalidRequestError(
                f"The option {name!r} of {of} is {value!r}.", remedy=f"It takes {', '.join(declared[name])}."
            )
    return {name: given.get(name, values[0]) for name, values in declared.items()}
