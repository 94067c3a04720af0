"""Why torch could not export: the operator or branch, the module that holds it, and the source line."""

from __future__ import annotations

import re
from traceback import FrameSummary
from typing import TYPE_CHECKING

import torch
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.scopes import innermost, module_path
from onnxyard.sources.torch.tree import SourceTree, plain_class

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_MISSING = re.compile(r"No ONNX function found for <OpOverload\(op='(?P<op>[^']+)'")
_LEGACY = re.compile(r"ONNX export of operator (?P<op>\w+)|Exporting the operator '(?P<named>[\w:]+)'")
_FROM_OPSET = re.compile(r"added in version (?P<opset>\d+)")
_TRANSLATE = "Use another operation there, or name its ONNX form in [export.translations]."
_VIOLATED = re.compile(r"Constraints violated \((?P<axes>[^)]+)\)")
_BY_NUMPY = ".numpy() is not supported for tensor subclasses"
_STYLE = re.compile(r"\x1b\[\d+m")


def refusal(error: BaseException, module: torch.nn.Module, source: SourceTree) -> UnsupportedModelError:
    """Turn whatever the exporter raised into one sentence a model's author can act on.

    Args:
        error: With its causes and tracebacks: the fx node and the frames of `forward` are read from them.
        module: The module that was exported.
        source: Says which source files are the project's.

    Returns:
        An error whose facts name `module`, `operator` and, where it is one of these, `reason`: `data-dependent` or
        `baked-axis`.
    """
    chain = list(_chain(error))
    node = _node(chain)
    if node is not None:
        path, kind = _module_of(node)
        place = source.innermost(str(node.meta.get("stack_trace") or ""))
    elif (traced := _traced_node(chain)) is not None:
        path, kind, place = _legacy_place(traced, module, source)
    else:
        path, kind, place = _specialized(chain, module, source) or _frame(chain, module, source)
    told = _told(chain, node)
    inside = f" in the module {path!r} ({kind})" if path else f" in the model ({kind})" if kind else ""
    return UnsupportedModelError(
        f"{told.what}{inside}.", where=place, remedy=told.remedy, module=path, operator=told.op, reason=told.reason
    )


class _Told:
    def __init__(self, what: str, remedy: str, op: str = "", *, reason: str = "") -> None:
        self.what, self.remedy, self.op, self.reason = what, remedy, op, reason


def _told(chain: list[BaseException], node: torch.fx.Node | None) -> _Told:
    text = "\n".join(str(link) for link in chain)
    if match := _MISSING.search(text):
        op = match["op"].removesuffix(".default")
        return _Told(f"The operator {op} has no ONNX translation", _TRANSLATE, op)
    if match := _LEGACY.search(text):
        op = str(match["op"] or match["named"]).replace("::", ".")
        newer = _FROM_OPSET.search(text)
        remedy = f"It has one from opset {newer['opset']} on." if newer else "Use another operation there, or opset 18."
        return _Told(f"The operator {op} has no translation in the legacy exporter at this opset", remedy, op)
    if node is not None:
        op = str(node.target).removesuffix(".default")
        return _Told(f"The operator {op} cannot be translated to ONNX: {_gist(chain)}", _TRANSLATE, op)
    return _of_forward(chain, text)


def _of_forward(chain: list[BaseException], text: str) -> _Told:
    """What forward does that no graph can follow."""
    names = {type(link).__name__ for link in chain}
    if "GuardOnDataDependentSymNode" in names:
        return _Told(
            "A branch or a number in Python depends on the data, which a graph cannot follow",
            "Use torch.where for values or torch.cond for branches, and tensors in place of float(x) or x.item().",
            reason="data-dependent",
        )
    if _packed(chain):
        return _Told(
            "A packed sequence has as many rows as the data says, which a graph cannot follow",
            "Run the padded sequence, and take each row's state at its length - 1 by gather (a backward direction sees "
            "the padding: flip each row within its length for it).",
        )
    if _BY_NUMPY in text:
        return _Told(
            "forward takes a tensor's values to numpy, whose results would be the example's for ever",
            "Use torch's own functions there.",
        )
    if "ConstraintViolationError" in names or "Constraints violated" in text:
        return _baked_axis(text)
    return _Told(f"torch cannot export the model: {_gist(chain)}", "Change what forward does there.")


def _packed(chain: list[BaseException]) -> bool:
    """Whether a recurrent layer was given a packed sequence: torch's message is of sizes, but its frames tell."""
    return any(
        trace.tb_frame.f_globals.get("__name__") == "torch.nn.modules.rnn"
        and trace.tb_frame.f_locals.get("batch_sizes") is not None
        for error in chain
        for trace in _frames(error)
    )


def _baked_axis(text: str) -> _Told:
    """Torch names the axes whose length the code fixes; the first one is told."""
    axis = _violated(text)
    if axis == "batch":
        return _Told(
            "The batch length is baked in: the code fixes the first axis to the example's length",
            "Use x.shape[0] or -1 instead of a number.",
            reason="baked-axis",
        )
    return _Told(
        f"The axis {axis!r} is declared dynamic, but the code fixes its length to the example's",
        "Take the length from x.shape, or declare it as a number in [project.axes].",
        reason="baked-axis",
    )


def _violated(text: str) -> str:
    named = _VIOLATED.search(text)
    return named["axes"].split(",")[0].strip() if named else "batch"


def _gist(chain: list[BaseException]) -> str:
    deepest = _STYLE.sub("", str(chain[-1])).strip().splitlines()
    line = deepest[0].rstrip(".") if deepest else ""
    return f"{type(chain[-1]).__name__}: {line}" if line else type(chain[-1]).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _frames(error: BaseException) -> Iterator[TracebackType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _node(chain: list[BaseException]) -> torch.fx.Node | None:
    """The fx node that was being translated: torch names it in a message only, but its frames still hold it."""
    for error in reversed(chain):
        for trace in _frames(error):
            node = trace.tb_frame.f_locals.get("node")
            if trace.tb_frame.f_code.co_name.startswith("_translate_fx_graph") and isinstance(node, torch.fx.Node):
                return node
    return None


def _traced_node(chain: list[BaseException]) -> torch._C.Node | None:
    """The node of the trace that the legacy exporter was translating: its frames still hold it."""
    for error in reversed(chain):
        for trace in _frames(error):
            node = trace.tb_frame.f_locals.get("node")
            if trace.tb_frame.f_code.co_name == "_run_symbolic_function" and isinstance(node, torch._C.Node):  # noqa: SLF001 - its only name
                return node
    return None


def _legacy_place(node: torch._C.Node, module: torch.nn.Module, source: SourceTree) -> tuple[str, str, str]:
    """Path and class of the module a node was traced in, and the project's line."""
    classes = {path: plain_class(f"{type(m).__module__}.{type(m).__qualname__}") for path, m in module.named_modules()}
    scopes = [scope.rpartition("::")[2] for scope in node.scopeName().split("/")]
    path = module_path([scope for scope in scopes if scope], classes)
    return path, classes[path], innermost(str(node.sourceRange()), source)


def _module_of(node: torch.fx.Node) -> tuple[str, str]:
    """Path and class of the innermost module that the node was traced in."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    return str(path), plain_class(kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}")


def _specialized(
    chain: list[BaseException], module: torch.nn.Module, source: SourceTree
) -> tuple[str, str, str] | None:
    """Path and class of the module, and the line, at which the length of the violated axis became a number.

    Torch says so in its debug log only, but notes it where it keeps what it knows of lengths, which its frames still
    hold. None where it is no violated axis, or where torch itself compared the length.
    """
    axis = _violated("\n".join(str(link) for link in chain))
    for error in chain:
        for trace in _frames(error):
            lengths = trace.tb_frame.f_locals.get("self")
            if trace.tb_frame.f_code.co_name != "produce_guards_verbose" or not isinstance(lengths, ShapeEnv):
                continue
            for symbol, noted in lengths.replacements_slocs.items():
                names = {lengths.source_name_to_debug_name.get(one.name) for one in lengths.var_to_sources[symbol]}
                frame = noted.framework_loc
                if axis in names and isinstance(frame, FrameSummary) and (file := source.name(frame.filename)):
                    return (*_holding(module, frame), f"{file}:{frame.lineno}")
    return None


def _holding(module: torch.nn.Module, frame: FrameSummary) -> tuple[str, str]:
    """Path and class of the first module that has the method a frame was in; nothing for a bare function's."""
    for path, part in module.named_modules():
        code = getattr(getattr(type(part), frame.name, None), "__code__", None)
        if code and code.co_filename == frame.filename and frame.lineno in {line for _, _, line in code.co_lines()}:
            return path, plain_class(f"{type(part).__module__}.{type(part).__qualname__}")
    return "", ""


def _frame(chain: list[BaseException], module: torch.nn.Module, source: SourceTree) -> tuple[str, str, str]:
    """Path and class of the innermost module whose method was running, and the innermost line of the project."""
    paths = {id(part): path for path, part in module.named_modules()}
    path = kind = place = ""
    for error in reversed(chain):
        for trace in _frames(error):
            code = trace.tb_frame.f_code
            first = trace.tb_frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
            if id(first) in paths:
                path, kind = paths[id(first)], plain_class(f"{type(first).__module__}.{type(first).__qualname__}")
            if (file := source.name(code.co_filename)) is not None:
                place = f"{file}:{trace.tb_lineno}"
        if place:
            break
    return path, kind, place
