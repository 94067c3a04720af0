"""ONNX to MLIR to a module for this processor, by IREE's importer and compiler (https://iree.dev)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import onnx

from onnxyard.errors import MissingExtraError, UnsupportedModelError
from onnxyard.runtimes.compiled_form import CompiledForm
from onnxyard.runtimes.disposable import Ending, Limits, run_disposable
from onnxyard.runtimes.graph import describe_graph
from onnxyard.runtimes.iree import SUFFIX, version
from onnxyard.runtimes.processor import Processor
from onnxyard.stages.optimize.passes.indices import index_use
from onnxyard.stages.optimize.passes.transformation import Transformed

if TYPE_CHECKING:
    from onnxyard.lifecycle.signature import Signature
    from onnxyard.runtimes.disposable import Ended
    from onnxyard.stages.optimize.passes.transformation import Materials

_IMPORT, _COMPILE = "iree.compiler.tools.import_onnx", "iree.compiler.tools.scripts.iree_compile"
_FLAGS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
    "--iree-input-demote-f64-to-f32=false",  # on by default: float64 models fail when they are loaded
)
_DTYPES = frozenset(
    {"FLOAT", "FLOAT16", "DOUBLE", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
)
"""What the runtime's Python binding hands over."""
_FILE_BYTES_PER_BYTE = 8
"""MLIR spells weights out in hexadecimal, and the compiler keeps constants of its own beside them."""


@dataclass(frozen=True, slots=True)
class IreeCompile:
    """Compile the model for the processor of this machine (target `llvm-cpu`, cpu `host`).

    The importer takes any opset; what its lowerings do not know, as Attention of opset 23, is refused by name. Axes
    that are free in the graph stay free. Weights go through MLIR's text form: the file limits are made for that.

    Attributes:
        seconds: Time that importing and compiling may take.
        memory_bytes: Address space that the compiler may take.
    """

    seconds: int = 600
    memory_bytes: int = 8 << 30

    packages: ClassVar[tuple[str, ...]] = ("iree-base-compiler", "iree-base-runtime", "onnx")
    calibrates: ClassVar[bool] = False

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:  # noqa: ARG002 - a pass's shape
        """See `Pass`; gives `model.vmfb`, and `signature.json` beside it.

        Raises:
            UnsupportedModelError: IREE has no lowering for an operator, naming it; or a limit was met.
            MissingExtraError: IREE is not installed.
        """
        if not find_spec("iree") or not find_spec("iree.compiler") or not find_spec("iree.runtime"):
            raise MissingExtraError(
                "IREE's compiler is not installed.",
                remedy="Install it with: pip install 'onnxyard[iree]'",
                extra="iree",
            )
        model = onnx.load(source)
        graph = describe_graph(model, where=str(source))
        _check_dtypes(graph.signature)
        made = folder / f"model{SUFFIX}"
        with TemporaryDirectory() as scratch:
            mlir = Path(scratch, "model.mlir")
            steps = [
                ("import", [_IMPORT, str(source.resolve()), "-o", str(mlir)]),
                ("compile", [_COMPILE, str(mlir), *_FLAGS, "-o", str(made.resolve())]),
            ]
            ended = run_disposable(f"{__package__}.iree_child", {"steps": steps}, self._limits(model))
        _check(ended, self.seconds)
        use = index_use(model)
        processor = Processor.here()
        form = CompiledForm.of_graph(
            graph,
            made,
            tool=f"iree {version()}",
            nodes=graph.nodes,
            ranges=use.ranges,
            processor=processor,
        )
        form.write(made)
        facts = {"compiled": f"{graph.nodes} nodes by IREE {version()}", "runs on": f"{processor.name} and alike"}
        if use.unchecked:
            facts["not checked"] = f"{', '.join(use.unchecked)}: indices outside of the table are followed into memory"
        return Transformed(made, changed=True, facts=facts)

    def _limits(self, model: onnx.ModelProto) -> Limits:
        size = model.ByteSize()
        return Limits(
            memory_bytes=self.memory_bytes + _FILE_BYTES_PER_BYTE * size,
            cpu_seconds=2 * self.seconds,
            wall_seconds=self.seconds,
            file_bytes=(1 << 28) + _FILE_BYTES_PER_BYTE * size,
        )


def _check_dtypes(signature: Signature) -> None:
    for spec in (*signature.inputs, *signature.outputs):
        if spec.dtype not in _DTYPES:
            raise UnsupportedModelError(f"IREE takes and gives no tensors of {spec.dtype}, as {spec.name!r} is.")


def _check(ended: Ended, seconds: int) -> None:
    if ended.ending is Ending.LATE:
        raise UnsupportedModelError(f"IREE's compiler did not finish within {seconds} s.")
    if ended.ending is not Ending.DONE:
        raise UnsupportedModelError(f"IREE's compiler broke: {ended.words}.")
    last = ended.documents[-1]
    if last["code"] < 0:
        raise UnsupportedModelError(f"IREE's compiler died of signal {-last['code']}, as at its limit of memory.")
    if last["code"]:
        step = "import" if last["step"] == "import" else "compile"
        raise UnsupportedModelError(f"IREE cannot {step} the model: {telling(last['said'])}.")


def telling(said: str) -> str:
    """What a failed run of the importer or the compiler says, in a few words: the operator, where it names one."""
    if match := re.search(r"No Op registered for (\w+)", said) or re.search(r"OpType: (\w+)", said):
        return f"there is no operator {match[1]}"
    errors = [line for line in said.splitlines() if "error: " in line]
    operator = re.search(r'"onnx\.(\w+)"', "\n".join(errors))
    if operator:
        return f"it has no lowering for the operator {operator[1]}"
    lines = errors or [line for line in said.splitlines() if line.strip()] or ["without a word"]
    line = lines[0] if errors else lines[-1]
    return line.rpartition("error: ")[2].strip()[:300].rstrip(".")
