"""A package of an execution provider's own: the graph compiled ahead of time, by ONNX Runtime's `ModelCompiler`."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import onnx
import onnxruntime as ort

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.ep_context import KEY, Context
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.options import settled
from onnxyard.runtimes.providers.catalogue import provider_named
from onnxyard.runtimes.providers.plug_in import muted
from onnxyard.runtimes.providers.sessions import session_options
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from pathlib import Path

    from onnxyard.stages.optimize.passes.transformation import Materials


@dataclass(frozen=True, slots=True)
class EpContext:
    """Compile the whole graph for a plug-in provider; what loads it later only reads what was compiled.

    The result is `model.onnx` with `EPContext` nodes in it and the provider's own files beside it. It is good for this
    provider and these versions, on this machine or one alike: see `onnxyard.runtimes.ep_context`.

    Attributes:
        provider: The execution provider, as `OpenVINOExecutionProvider`.
    """

    provider: str

    calibrates: ClassVar[bool] = False

    @property
    def packages(self) -> tuple[str, ...]:
        """See `Pass`."""
        return ("onnx", "onnxruntime", provider_named(self.provider).package)

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`.

        Raises:
            UnsupportedModelError: the provider has no device here, or cannot compile the whole graph.
            MissingExtraError: its package is not installed.
        """
        provider = provider_named(self.provider)
        if (lack := provider.lack()) is not None:
            raise lack.error()
        made = folder / "model.onnx"
        defaults = settled(provider.options, {}, of=provider.name)
        options = session_options(defaults, 0)
        # Without it, nodes that the provider cannot compile stay in the graph, for the CPU.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            with muted() if provider.prints else nullcontext():
                provider.attach(options, defaults, 0)
                compiler = ort.ModelCompiler(options, source, flags=ort.OrtCompileApiFlags.ERROR_IF_NO_NODES_COMPILED)
                compiler.compile_to_file(str(made))
        except Exception as error:  # ORT raises plain Exception's children of its own, RuntimeError among them
            raise UnsupportedModelError(
                f"{self.provider} cannot compile the whole model: {str(error).rpartition(' : ')[2]}",
                remedy=_remedy(source),
            ) from error
        model = onnx.load(made, load_external_data=False)
        contexts = [node for node in model.graph.node if node.op_type == "EPContext"]
        if len(contexts) != len(model.graph.node):
            raise UnsupportedModelError(
                f"{self.provider} left {len(model.graph.node) - len(contexts)} nodes uncompiled."
            )
        context = Context.here(self.provider, provider.package, ", ".join(provider.devices()))
        model.metadata_props.add(key=KEY, value=context.text())
        onnx.save(model, made)
        facts = {
            "compiled": f"{read_graph(source).nodes} nodes in {len(contexts)} contexts of {self.provider}",
            "good for": f"{context.package} under ONNX Runtime {context.onnxruntime}, on {context.processor.name}",
            "device": context.device,
        }
        return Transformed(made, changed=True, facts=facts)


def _remedy(source: Path) -> str:
    signature = read_graph(source).signature
    free = [f"{axis!r} of {spec.name!r}" for spec in signature.inputs for axis in spec.shape if isinstance(axis, str)]
    return f"It may take fixed shapes only: fix {', '.join(free)} at export." if free else ""
