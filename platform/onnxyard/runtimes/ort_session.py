"""A session of ONNX Runtime that one provider really runs: a silent fallback to the CPU is an error."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError
from onnxyard.runtimes.ep_context import check_context
from onnxyard.runtimes.extensions import open_session
from onnxyard.runtimes.options import settled
from onnxyard.runtimes.providers.cpu import CPU
from onnxyard.runtimes.providers.plug_in import muted
from onnxyard.runtimes.providers.sessions import session_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnxyard.runtimes.providers.provider import Provider

_REFUSED = "fallback to CPU EP has been explicitly disabled"
"""ONNX Runtime's words where the provider has no kernel for some node."""
_SHOWN = 6


def open_on(
    provider: Provider,
    model: Path | bytes,
    *,
    threads: int,
    given: Mapping[str, str],
    lengths: Mapping[str, int] = MappingProxyType({}),
    profile: Path | None = None,
) -> ort.InferenceSession:
    """A session whose nodes the provider executes: all of them, or some with the option `fallback`.

    Args:
        provider: The provider.
        model: The file, or its bytes.
        threads: Intra-op threads; 0 lets ORT choose.
        given: Options that differ from the provider's defaults.
        lengths: Lengths of free axes, for a provider that compiles for fixed shapes.
        profile: Where the profiler writes, without the rest of the name; None for no profiler.

    Raises:
        UnsupportedModelError: the provider cannot run here, or has no kernel for some node: says for which.
        ArtifactCorruptError: it is not a model.
        InvalidRequestError: it has no such option, or it takes other values.
        MissingExtraError: the provider's package is not installed.
    """
    chosen = settled(provider.options, given, of=provider.name)
    if lack := provider.lack():
        raise lack.error()

    def opened(*, fallback: bool) -> ort.InferenceSession:
        options = session_options(chosen, threads)
        for axis, length in lengths.items():
            options.add_free_dimension_override_by_name(axis, length)
        if provider is not CPU:
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "0" if fallback else "1")
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        with muted() if provider.prints else nullcontext():
            return _open(model, provider.attach(options, chosen, threads), options)

    try:
        session = opened(fallback=chosen.get("fallback") == "allowed")
    except UnsupportedModelError as error:
        if _REFUSED not in error.detail:
            raise
        session = opened(fallback=True)
        _check_started(provider, session, model)
        raise _left_over(provider, session, model) from error
    _check_started(provider, session, model)
    check_context(session.get_modelmeta().custom_metadata_map, where=_where(model))
    if chosen.get("fallback") == "allowed" and provider.name not in assigned(session):
        raise _left_over(provider, session, model)
    return session


def assigned(session: ort.InferenceSession) -> Counter[str]:
    """Nodes of the graph by the provider that took them, where the session was told to record it."""
    return Counter({name: sum(len(part.get_nodes()) for part in parts) for name, parts in _parts(session).items()})


def _check_started(provider: Provider, session: ort.InferenceSession, model: Path | bytes) -> None:
    """A provider whose own libraries do not load is left out without a word."""
    if session.get_providers()[:1] != [provider.name]:
        raise UnsupportedModelError(
            f"{provider.name} was asked for, but the session runs on {', '.join(session.get_providers())}.",
            where=_where(model),
            remedy="ONNX Runtime could not start it: look at the versions of its libraries and of the driver.",
        )


def _parts(session: ort.InferenceSession) -> dict[str, list[Any]]:
    parts: dict[str, list[Any]] = {}
    for part in session.get_provider_graph_assignment_info():
        parts.setdefault(str(part.ep_name), []).append(part)
    return parts


def _left_over(provider: Provider, session: ort.InferenceSession, model: Path | bytes) -> UnsupportedModelError:
    parts = _parts(session)
    left = Counter(
        str(node.op_type)
        for name, taken in parts.items()
        if name != provider.name
        for part in taken
        for node in part.get_nodes()
    )
    every = assigned(session).total()
    told = ", ".join(f"{name} ({count})" for name, count in sorted(left.items())[:_SHOWN])
    more = f" and {len(left) - _SHOWN} more operators" if len(left) > _SHOWN else ""
    allowed = left.total() < every and "fallback" in provider.options
    return UnsupportedModelError(
        f"{provider.name} leaves {left.total()} of {every} nodes to the CPU: {told}{more}.",
        where=_where(model),
        remedy="Allow it with the option fallback=allowed, or choose another provider." if allowed else "",
        nodes=dict(sorted(left.items())),
    )


def _open(model: Path | bytes, providers: Sequence[Any], options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return open_session(model, options, providers)
    except (
        ort_errors.InvalidArgument,  # "No graph was found in the protobuf", as in an empty file
        ort_errors.InvalidProtobuf,
        ort_errors.NoModel,
        ort_errors.NoSuchFile,
    ) as error:
        raise ArtifactCorruptError(
            f"ONNX Runtime cannot read the model: {first_line(error)}", where=_where(model)
        ) from error
    except (
        ort_errors.InvalidGraph,
        ort_errors.NotImplemented,
        ort_errors.EPFail,
        ort_errors.Fail,
        ort_errors.RuntimeException,
        RuntimeError,  # as bindings raise it, before there is a session
    ) as error:
        raise UnsupportedModelError(
            f"ONNX Runtime {ort.__version__} cannot run the model: {first_line(error)}", where=_where(model)
        ) from error


def first_line(error: Exception) -> str:
    """What ONNX Runtime says, without its own "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : " in front."""
    lines: Sequence[str] = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ", 3)[-1]


def _where(model: Path | bytes) -> str:
    return "" if isinstance(model, bytes) else str(model)
