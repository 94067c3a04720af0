"""The ways from a torch module to an ONNX graph, the cheapest first; whether one holds is proven by who takes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnx_ir
import torch
from torch._ops import OpOverload

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources import saving
from onnxyard.sources.converting import CONVERTER, convert
from onnxyard.sources.sidecar import Origin, scrub, sidecar, trace_origins
from onnxyard.sources.source import Asked, Attempt, Exported
from onnxyard.sources.torch import dynamo, legacy
from onnxyard.sources.torch.catalogue import applied, catalogue, overload_of, translation_table
from onnxyard.sources.torch.decompositions import further_decompositions
from onnxyard.sources.torch.reference import load_module
from onnxyard.sources.torch.refusal import refusal
from onnxyard.sources.torch.tree import SourceTree, plain_class
from onnxyard.sources.widening import widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.project.project import Project

OPSETS = range(legacy.OPSETS.start, 28)
"""Opsets that some way may lead to."""
DEFAULT_OPSET = 20


def attempts(project: Project, folder: Path, asked: Asked) -> Iterator[Attempt]:
    """As `Source.attempts`."""
    check_opset(asked)  # before the user's code runs
    module = load_module(project, folder)
    yield from ways(module, asked, source_tree(project))


def ways(module: torch.nn.Module, asked: Asked, source: SourceTree) -> Iterator[Attempt]:
    """The same for a module in eval mode that belongs to no project.

    Raises:
        UnsupportedModelError: no way leads to the opset that was asked for.
    """
    opset = check_opset(asked)
    way = _Ways(module, asked, source, opset)
    if opset >= dynamo.OPSETS.start:
        if not way.needs_the_projects_forms:
            yield Attempt("torch.onnx dynamo", way.plain)
        if way.captured and way.translations(opset):
            yield Attempt("torch.onnx dynamo with translations", way.translated)
        if way.captured:
            yield Attempt("torch.onnx dynamo with further decompositions", way.decomposed)
    if opset in legacy.OPSETS:
        yield Attempt("torch.onnx legacy exporter", way.legacy)
    if opset != dynamo.OPSETS.start:
        yield Attempt(f"torch.onnx dynamo at opset {dynamo.OPSETS.start}, converted", way.converted)


def check_opset(asked: Asked) -> int:
    """The opset that is asked for, or the default one. Raises UnsupportedModelError where no way leads there."""
    opset = DEFAULT_OPSET if asked.opset is None else asked.opset
    if opset not in OPSETS:
        raise UnsupportedModelError(
            f"No exporter of torch gives opset {opset}.",
            where="[export] opset",
            remedy=f"Ask for one of {OPSETS.start} to {OPSETS.stop - 1}.",
        )
    return opset


@dataclass(frozen=True)
class _Ways:
    """What the attempts share: the module is captured once, and a refusal is the same refusal for all of them."""

    module: torch.nn.Module
    asked: Asked
    source: SourceTree
    opset: int

    def plain(self, model_file: Path) -> Exported:
        return self._dynamo(model_file, self._program, self.opset)

    def translated(self, model_file: Path) -> Exported:
        remedies = self.translations(self.opset)
        return self._dynamo(model_file, self._program, self.opset, remedies, translated=True)

    def decomposed(self, model_file: Path) -> Exported:
        """Down to torch's core operators, except for those that have a translation of ours."""
        table = further_decompositions()
        for operator in translation_table(self.asked.translations, opset=self.opset, entries=catalogue()):
            table.pop(operator, None)
        with dynamo.quiet():
            try:
                program = self._program.run_decompositions(table)
            except dynamo.TORCH_ERRORS as error:
                raise refusal(error, self.module, self.source) from error
        gone = sorted(_operators(self._program) - _operators(program))
        if not gone:
            raise UnsupportedModelError("There is nothing left that torch could decompose.")
        remedies = (
            f"{', '.join(gone)}: decomposed into torch's core operators.",
            *self.translations(self.opset, program),
        )
        return self._dynamo(model_file, program, self.opset, remedies, translated=True)

    def legacy(self, model_file: Path) -> Exported:
        """A trace freezes Python branches: taken where torch.export saw that there are none, or where none was met."""
        if self._refused is not None and self._refused.facts.get("reason") == "data-dependent":
            raise self._refused
        with legacy.traced(self.module, self.asked, self.opset, self.source) as (written, traced):
            if traced.frozen and not self.captured:
                raise UnsupportedModelError(
                    "The legacy exporter freezes what Python decides by a tensor's value to the example.",
                    where=next((place for place in traced.frozen if place), ""),
                    remedy="Use torch.where for values or torch.cond for branches.",
                )
            model = traced.model
            if any(tensor.external_data for tensor in model.graph.initializer):  # one file per weight, from 2 GiB on
                onnx_ir.save(onnx_ir.load(written), model_file, external_data=f"{model_file.name}.data")
                model = onnx.load(model_file, load_external_data=False)
            remedy = "Exported by torch's legacy exporter, from a trace of the example."
            return self._write(model, model_file, traced.origins, legacy.EXPORTER, (remedy,))

    def converted(self, model_file: Path) -> Exported:
        base = dynamo.OPSETS.start
        translations = self.translations(base)
        program = self._to_onnx(self._program, base, translated=bool(translations))
        model = convert(program.model_proto, self.opset)
        origins = trace_origins(program.model_proto, self.source)
        remedies = (f"Exported at opset {base} and converted to {self.opset} by {CONVERTER}.", *translations)
        return self._write(model, model_file, origins, f"{dynamo.EXPORTER}, {CONVERTER}", remedies)

    def translations(self, opset: int, program: torch.export.ExportedProgram | None = None) -> tuple[str, ...]:
        """What a translation of the project's own, or of the catalogue, has a part in; one sentence each.

        Args:
            opset: That the graph will have.
            program: The captured module, or what was decomposed from it; the captured one by default.
        """
        present = _operators(program or self._program)
        own = self._own(present)
        entries = [entry for entry in catalogue() if entry.opset <= opset]
        return (*(f"{name}: translated by the project's own function." for name in own), *applied(entries, present))

    @property
    def needs_the_projects_forms(self) -> bool:
        """Whether it calls operators beyond torch's that the project translates: without them no way is left."""
        return self.captured and any(not name.startswith("aten::") for name in self._own(_operators(self._program)))

    def _own(self, present: set[str]) -> list[str]:
        """The project's translations that have a part in these operators."""
        return sorted(name for name in self.asked.translations if _name(overload_of(name)) in present)

    @property
    def captured(self) -> bool:
        """Whether torch.export takes the module: it has no branch on data, and its axes are as free as declared."""
        return self._refused is None

    @cached_property
    def _capture(self) -> torch.export.ExportedProgram | UnsupportedModelError:
        try:
            return dynamo.capture(self.module, self.asked, self.source)
        except UnsupportedModelError as error:
            return error

    @property
    def _refused(self) -> UnsupportedModelError | None:
        return self._capture if isinstance(self._capture, UnsupportedModelError) else None

    @property
    def _program(self) -> torch.export.ExportedProgram:
        if isinstance(self._capture, UnsupportedModelError):
            raise self._capture
        return self._capture

    def _to_onnx(
        self, program: torch.export.ExportedProgram, opset: int, *, translated: bool
    ) -> torch.onnx.ONNXProgram:
        table = translation_table(self.asked.translations, opset=opset, entries=catalogue()) if translated else None
        return dynamo.to_onnx(program, self.asked, opset, module=self.module, source=self.source, translations=table)

    def _dynamo(
        self,
        model_file: Path,
        program: torch.export.ExportedProgram,
        opset: int,
        remedies: tuple[str, ...] = (),
        *,
        translated: bool = False,
    ) -> Exported:
        written_as = min(opset, dynamo.OPSETS.stop - 1)
        model = _graph(self._to_onnx(program, written_as, translated=translated), model_file)
        origins = trace_origins(model, self.source)
        if opset == written_as:
            return self._write(model, model_file, origins, dynamo.EXPORTER, remedies)
        return self._write(convert(model, opset), model_file, origins, f"{dynamo.EXPORTER}, {CONVERTER}", remedies)

    def _write(
        self,
        model: onnx.ModelProto,
        model_file: Path,
        origins: Mapping[str, Origin],
        exporter: str,
        remedies: tuple[str, ...],
    ) -> Exported:
        if widen(model):
            remedies = (*remedies, "Computed in float32; the weights stay bfloat16, for which CPUs have no kernels.")
        classes = classes_of(self.module)
        origins = _inherited(model, origins, classes)
        document = sidecar(model, origins, classes, exporter=exporter)
        scrub(model, origins)
        saving.save_model(model, model_file)
        return Exported(exporter, document, remedies)


def source_tree(project: Project) -> SourceTree:
    """The project's folder, and the one its code was loaded from where this process saw it elsewhere before."""
    loaded = Path(str(project.functions().module.__file__)).resolve().parent
    return SourceTree((project.root.resolve(), loaded))


def classes_of(module: torch.nn.Module) -> dict[str, str]:
    """The class of each module by its path, as its author knows it."""
    return {
        path: plain_class(f"{type(part).__module__}.{type(part).__qualname__}") for path, part in module.named_modules()
    }


def _graph(program: torch.onnx.ONNXProgram, model_file: Path) -> onnx.ModelProto:
    """The graph; weights too large for one protobuf are written beside `model_file` and named in it, never copied."""
    weights = program.model.graph.initializers.values()
    if sum(value.const_value.nbytes for value in weights if value.const_value is not None) < saving.EXTERNAL_FROM_BYTES:
        return program.model_proto
    onnx_ir.save(program.model, model_file, external_data=f"{model_file.name}.data")
    return onnx.load(model_file, load_external_data=False)


def _inherited(model: onnx.ModelProto, origins: Mapping[str, Origin], classes: Mapping[str, str]) -> dict[str, Origin]:
    """Nodes that a converter or a widening put in get the origin of the first of their inputs that has one."""
    known = dict(origins)
    for tensor in model.graph.initializer:
        path = tensor.name.rpartition(".")[0]
        if path in classes and path:
            known.setdefault(tensor.name, Origin(path, classes[path], ""))
    for node in all_nodes(model.graph):
        near = next((known[name] for name in node.input if name in known), None)
        for name in node.output:
            if name and name not in known and near is not None:
                known[name] = Origin(near.module, near.kind, near.source)
    return {name: origin for name, origin in known.items() if name in origins or origin.module or origin.source}


def _operators(program: torch.export.ExportedProgram) -> set[str]:
    """The operators of a captured module, as `aten::cumprod` or `aten::median.dim`."""
    targets = (node.target for graph in program.graph_module.modules() for node in _nodes(graph))
    return {_name(target) for target in targets if isinstance(target, OpOverload)}


def _nodes(module: torch.nn.Module) -> Iterator[torch.fx.Node]:
    if isinstance(module, torch.fx.GraphModule):
        yield from module.graph.nodes


def _name(operator: OpOverload) -> str:
    return str(operator).replace(".", "::", 1).removesuffix(".default")
