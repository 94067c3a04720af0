"""Runtimes by the name that a target gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError, MissingExtraError

if TYPE_CHECKING:
    from onnxyard.ports.runtime import Runtime

NAMES = ("onnxruntime", "openvino")


def runtime_named(name: str) -> Runtime:
    """The runtime a target asks for; only that one is imported.

    Raises:
        InvalidRequestError: nothing is called so.
        MissingExtraError: it is not installed.
    """
    if name == "onnxruntime":
        from onnxyard.runtimes.onnxruntime import OnnxRuntime  # noqa: PLC0415 - only the one that is asked for

        return OnnxRuntime()
    if name == "openvino":
        try:
            import openvino  # noqa: F401, PLC0415 - the `runtimes` extra
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "OpenVINO is not installed.",
                remedy="Install it with: pip install 'onnxyard[runtimes]'",
                extra="runtimes",
            ) from error
        from onnxyard.runtimes.openvino import OpenVino  # noqa: PLC0415 - as above

        return OpenVino()
    raise InvalidRequestError(f"There is no runtime called {name!r}.", remedy=f"Use one of: {', '.join(NAMES)}.")
