"""What can run here: every runtime and provider that a target may ask for, or what exactly is missing for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.errors import InvalidRequestError
from onnxyard.project.file import PROVIDERS
from onnxyard.runtimes.machine import cpu_flags
from onnxyard.runtimes.providers.catalogue import provider_named
from onnxyard.runtimes.providers.lack import Lack
from onnxyard.runtimes.runtime import ADAPTERS, is_emulated, toolchain_of, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

_INSTRUCTIONS = {
    "fp16": frozenset({"avx512_fp16", "amx_fp16", "asimdhp"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "int8": frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}),
}
"""By precision: any of these lets a processor multiply in it (x86's names and Arm's); without, int8 is emulated."""
_PRECISIONS = {
    "CPUExecutionProvider": ("fp32", "fp16", "int8", "int4"),
    "OpenVINOExecutionProvider": ("fp32", "int8"),
    "QNNExecutionProvider": ("fp16", "int8"),
    "CUDAExecutionProvider": ("fp32", "fp16", "bf16"),
    "TensorrtExecutionProvider": ("fp32", "fp16", "int8"),
    "CPU": ("fp32", "int8"),
    "llvm-cpu": ("fp32",),
    "interpreter": ("fp32",),
}
"""By provider: what it computes in on any machine; fp16 on ONNX Runtime's CPU is stored so, and computed in fp32."""
_BY_INSTRUCTIONS = frozenset({"CPU", "OpenVINOExecutionProvider"})
"""Providers that compute in fp16 and bf16 where the processor does."""
_ON_CPU = frozenset({"CPUExecutionProvider", "CPU", "OpenVINOExecutionProvider", "llvm-cpu", "interpreter"})


@dataclass(frozen=True, slots=True)
class Available:
    """One provider of one runtime.

    Attributes:
        runtime: As a target names it.
        provider: Likewise.
        lack: Why it cannot run here; None where it can.
        version: What runs with it, as `onnxruntime 1.32.0`; empty where it is not installed.
        devices: The devices that it finds, in words.
        emulated: Whether it imitates other hardware here: its latency is none of anything's.
        precisions: What it computes in here.
        accelerated: Those of them that the device has instructions for.
        toolchain: The toolchain that it lives in; None for this environment.
    """

    runtime: str
    provider: str
    lack: Lack | None
    version: str = ""
    devices: tuple[str, ...] = ()
    emulated: bool = False
    precisions: tuple[str, ...] = ()
    accelerated: tuple[str, ...] = ()
    toolchain: str | None = None


def availability(lack_of_toolchain: Callable[[str], Lack | None]) -> tuple[Available, ...]:
    """Every provider of every runtime, in the order of `onnxyard.project.file.PROVIDERS`.

    Args:
        lack_of_toolchain: Why a toolchain of this name cannot be used, as it is not installed.
    """
    return tuple(
        _available(runtime, provider, lack_of_toolchain)
        for runtime, providers in PROVIDERS.items()
        for provider in providers
    )


def lack_of(
    runtime: str, provider: str, lack_of_toolchain: Callable[[str], Lack | None] = lambda _: None
) -> Lack | None:
    """Why a provider cannot run here, in the words that loading a model with it would have; None where it can.

    Args:
        runtime: As a target names it.
        provider: Likewise.
        lack_of_toolchain: As in `availability`; without it, toolchains are taken for installed.

    Raises:
        InvalidRequestError: there is no such runtime.
        UnsupportedModelError: there is no such provider of ONNX Runtime.
    """
    adapter = ADAPTERS.get(runtime)
    if adapter is None:
        raise InvalidRequestError(f"There is no runtime called {runtime!r}.", remedy=f"There is {', '.join(ADAPTERS)}.")
    if not adapter.installed:
        return Lack.of(adapter.missing())
    if (toolchain := toolchain_of(runtime, provider)) is not None:
        from onnxyard.runtimes.providers.nvidia import no_gpu  # noqa: PLC0415 - it looks for the driver

        return no_gpu() or lack_of_toolchain(toolchain)
    if runtime == "onnxruntime":
        return provider_named(provider).lack()
    if runtime == "openvino":
        from onnxyard.runtimes.openvino import lack_of_device  # noqa: PLC0415 - it imports OpenVINO

        return lack_of_device(provider)
    return None


def require(runtime: str, provider: str, lack_of_toolchain: Callable[[str], Lack | None] = lambda _: None) -> None:
    """Refuse a provider that cannot run here, before anything is done for it.

    Raises:
        MissingExtraError: an installation mends it.
        UnsupportedModelError: this machine cannot run it.
        InvalidRequestError: there is no such runtime.
    """
    if (lack := lack_of(runtime, provider, lack_of_toolchain)) is not None:
        raise lack.error()


def _available(runtime: str, provider: str, lack_of_toolchain: Callable[[str], Lack | None]) -> Available:
    toolchain = toolchain_of(runtime, provider)
    lack = lack_of(runtime, provider, lack_of_toolchain)
    if lack is not None:
        return Available(runtime, provider, lack, toolchain=toolchain)
    precisions = _precisions(provider)
    return Available(
        runtime,
        provider,
        None,
        version="" if toolchain else version_of(runtime, provider),
        devices=provider_named(provider).devices() if runtime == "onnxruntime" else (provider,),
        emulated=is_emulated(runtime, provider),
        precisions=precisions,
        accelerated=_accelerated(provider, precisions),
        toolchain=toolchain,
    )


def _precisions(provider: str) -> tuple[str, ...]:
    always = _PRECISIONS.get(provider, ("fp32",))
    if provider not in _BY_INSTRUCTIONS:
        return always
    flags = cpu_flags()
    return (*always, *(each for each in ("fp16", "bf16") if _INSTRUCTIONS[each] & flags))


def _accelerated(provider: str, precisions: tuple[str, ...]) -> tuple[str, ...]:
    if provider not in _ON_CPU:
        return precisions
    flags = cpu_flags()
    computed = [each for each in precisions if provider in _BY_INSTRUCTIONS or each != "fp16"]
    return tuple(each for each in computed if each == "fp32" or _INSTRUCTIONS.get(each, frozenset()) & flags)
