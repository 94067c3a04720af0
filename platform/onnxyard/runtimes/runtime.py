"""Runtimes by the name that a target gives."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from onnxyard.errors import InvalidRequestError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.ports.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Adapter:
    """Where a runtime's adapter lies, and what it needs.

    Attributes:
        title: As its makers write it.
        module: The adapter's module, imported when it is asked for.
        name: Its class there.
        needs: The module that must be installed.
        extra: The extra of Onnxyard that brings it.
        package: The distribution whose version is the runtime's.
    """

    title: str
    module: str
    name: str
    needs: str
    extra: str
    package: str

    @property
    def installed(self) -> bool:
        """Whether what it needs is there; nothing of it is imported to find out."""
        try:
            return find_spec(self.needs) is not None
        except ModuleNotFoundError:  # a package that would hold it
            return False

    def missing(self) -> MissingExtraError:
        """What to say where it is not."""
        return MissingExtraError(
            f"{self.title} is not installed.",
            remedy=f"Install it with: pip install 'onnxyard[{self.extra}]'",
            extra=self.extra,
        )


ADAPTERS = {
    "onnxruntime": Adapter(
        "ONNX Runtime", "onnxyard.runtimes.onnxruntime", "OnnxRuntime", "onnxruntime", "", "onnxruntime"
    ),
    "openvino": Adapter("OpenVINO", "onnxyard.runtimes.openvino", "OpenVino", "openvino", "runtimes", "openvino"),
    "iree": Adapter("IREE", "onnxyard.runtimes.iree", "Iree", "iree.runtime", "iree", "iree-base-runtime"),
    "nnef": Adapter("NNEF", "onnxyard.runtimes.nnef", "Nnef", "nnef_tools", "nnef", "nnef-tools"),
}
"""Every runtime by the name that a target gives it."""
NAMES = tuple(ADAPTERS)
_TOOLCHAINS = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "tensorrt"}
"""They need onnxruntime-gpu, which takes the place of onnxruntime: never both in one environment."""


def runtime_named(name: str) -> Runtime:
    """The runtime a target asks for; only that one is imported.

    Raises:
        InvalidRequestError: nothing is called so.
        MissingExtraError: it is not installed.
    """
    adapter = ADAPTERS.get(name)
    if adapter is None:
        raise InvalidRequestError(f"There is no runtime called {name!r}.", remedy=f"Use one of: {', '.join(NAMES)}.")
    if not adapter.installed:
        raise adapter.missing()
    return cast("Runtime", getattr(import_module(adapter.module), adapter.name)())


def version_of(runtime: str, provider: str) -> str:
    """As a loaded model says it, as `onnxruntime 1.32.0`. Raises as `numeric_of`."""
    if runtime == "onnxruntime":
        from onnxyard.runtimes.providers.catalogue import provider_named  # noqa: PLC0415 - it imports ONNX Runtime

        return provider_named(provider).runtime
    runtime_named(runtime)
    return f"{runtime} {metadata.version(ADAPTERS[runtime].package)}"


def options_of(runtime: str, provider: str) -> Mapping[str, tuple[str, ...]]:
    """What can be tuned where this provider runs: by option, its values, the default first. Raises as the next two."""
    if runtime == "onnxruntime":
        from onnxyard.runtimes.providers.catalogue import provider_named  # noqa: PLC0415 - as above

        return provider_named(provider).options
    return runtime_named(runtime).options


def numeric_of(runtime: str, provider: str) -> frozenset[str]:
    """Those of `options_of` that change answers.

    Raises:
        InvalidRequestError: nothing is called so.
        UnsupportedModelError: the provider is not verified.
        MissingExtraError: the runtime is not installed.
    """
    if runtime == "onnxruntime":
        from onnxyard.runtimes.providers.catalogue import provider_named  # noqa: PLC0415 - as above

        return provider_named(provider).numeric
    return runtime_named(runtime).numeric


def toolchain_of(runtime: str, provider: str) -> str | None:
    """The toolchain that a provider lives in, as `cuda`; None where this environment runs it."""
    return _TOOLCHAINS.get(provider) if runtime == "onnxruntime" else None


def is_emulated(runtime: str, provider: str) -> bool:
    """Whether it imitates other hardware here, so that its latency is none of anything's: never presented as speed."""
    if runtime == "onnxruntime":
        from onnxyard.runtimes.providers.catalogue import provider_named  # noqa: PLC0415 - as above

        return provider_named(provider).emulated
    return runtime == "nnef"  # operation by operation in PyTorch
