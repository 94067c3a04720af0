"""Looking at a file that somebody brings, from the outside in; only ever called in a disposable child.

The order is the defence: first bytes, then digest, then the parsed structure, then ONNX Runtime; each step only where
the one before found nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import onnx
import onnxruntime as ort

from onnxyard.lifecycle.digest import digest_of, file_digest
from onnxyard.sources.admission.bombs import refuse_endless_loops, refuse_nodes, refuse_shapes, refuse_tensors
from onnxyard.sources.admission.domains import EXTENSIONS, operators_by_domain, refuse_domains
from onnxyard.sources.admission.external import data_files, refuse_external_data
from onnxyard.sources.admission.graphs import names
from onnxyard.sources.admission.kinds import CORRUPT, refuse_by_kind
from onnxyard.sources.admission.opening import Answer, Opener, try_out, why_not_loaded
from onnxyard.sources.admission.origins import located
from onnxyard.sources.admission.refusal import Refusal, printable
from onnxyard.sources.admission.wire import first_break
from onnxyard.tensors.files import protobuf_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGEST = "digest-differs"
MEMORY_BYTES = 2 << 30
"""What opening a file may take beyond four times its bytes."""


@dataclass(slots=True)
class Examined:
    """What is known of a file.

    Attributes:
        refusals: Why it is kept away; empty for one that may be opened.
        digest: What pins it (`_digest`); empty where it was not read.
        data_files: Names of the files beside it that hold its weights.
        model: The parsed model, weights in external data not read; None where it does not parse.
        opener: Opens it again; None where it does not parse.
        session: Open in ONNX Runtime, fully optimized; None where it does not load.
        answer: What it gave for made-up inputs; None where none could be made up.
    """

    refusals: list[Refusal] = field(default_factory=list)
    digest: str = ""
    data_files: tuple[str, ...] = ()
    model: onnx.ModelProto | None = None
    opener: Opener | None = None
    session: ort.InferenceSession | None = None
    answer: Answer | None = None


def examine(file: Path, sha256: str | None, phase: Callable[[str], None], size: Callable[[int], None]) -> Examined:
    """Look at one file.

    Args:
        file: The file; absolute.
        sha256: What its digest must be; None where nobody said.
        phase: Told what begins, as `reading it`: the parent's last word of a child that dies.
        size: Told the bytes of model and data as soon as they are known, so that large models get large limits.
    """
    seen = Examined()
    phase("reading it")
    try:
        size(file.stat().st_size)
        if told := refuse_by_kind(file):
            seen.refusals.append(told)
            return seen
        _read(file, sha256, size, seen)
    except MemoryError:
        seen.refusals.append(_no_memory("Reading"))
    except (ValueError, protobuf_error()) as error:  # protobuf looks at some texts only when somebody reads them
        damage = f"The file is damaged: {printable(str(error))[:200]}"
        seen.refusals.append(Refusal(CORRUPT, damage, "Export or download the model again."))
    if seen.model is None:
        return seen
    seen.opener = Opener(file, EXTENSIONS in operators_by_domain(seen.model))
    phase("loading it")
    try:
        seen.session = seen.opener.open()
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common class of their own
        seen.refusals.append(why_not_loaded(error))
        return seen
    phase("running it on a small input")
    answer = try_out(seen.session)
    if isinstance(answer, Refusal):
        seen.refusals.append(answer)
    else:
        seen.answer = answer
    return seen


def _read(file: Path, sha256: str | None, size: Callable[[int], None], seen: Examined) -> None:
    """Parse it and look at the structure; `seen.model` stays None where something is wrong."""
    model = onnx.ModelProto()
    content = file.read_bytes()
    try:
        model.ParseFromString(content)
    except protobuf_error() as error:
        seen.refusals.append(_unparsed(file, len(content), error))
        return
    del content
    if bad := next((name for name in names(model) if isinstance(name, bytes)), None):
        told = f"The file is damaged: {printable(bad.decode(errors='replace'))!r} is no text in UTF-8."
        seen.refusals.append(Refusal(CORRUPT, told, "Export or download the model again."))
        return
    seen.data_files = data_files(model)
    seen.refusals += refuse_external_data(model, file.parent)
    if not seen.refusals:
        whole = file.stat().st_size + sum((file.parent / name).stat().st_size for name in seen.data_files)
        size(whole)
        seen.digest = _digest(file, seen.data_files)
        if sha256 is not None and seen.digest != sha256:
            seen.refusals.append(_other_digest(seen.digest, sha256))
            return
        seen.refusals += refuse_structure(model, MEMORY_BYTES + 4 * whole)
    seen.refusals = [located(refusal, model) for refusal in seen.refusals]
    if not seen.refusals:
        seen.model = model


def _digest(file: Path, names: tuple[str, ...]) -> str:
    """The file's sha256; with weights in files of their own, one over the names and digests of all of them."""
    if not names:
        return file_digest(file)
    return digest_of({"": file_digest(file)} | {name: file_digest(file.parent / name) for name in names})


def refuse_structure(model: onnx.ModelProto, budget: int) -> list[Refusal]:
    """What the parsed model itself shows.

    Each group only where the ones before found nothing: to infer shapes is to unfold functions.
    """
    if not (model.graph.node or model.graph.initializer) or not model.opset_import:
        return [Refusal(CORRUPT, "The file holds no graph, or names no opset.", "Export or download the model again.")]
    first = [*refuse_domains(model), *refuse_nodes(model), *refuse_tensors(model, budget)]
    return first or [*refuse_endless_loops(model), *refuse_shapes(model, budget)]


def _unparsed(file: Path, size: int, error: Exception) -> Refusal:
    with file.open("rb") as opened:
        place = first_break(opened, size, onnx.ModelProto.DESCRIPTOR)
    where = place or f"its parts do not fit together ({error})"
    return Refusal(
        CORRUPT,
        f"The file is cut short or damaged: of its {size} bytes, {where}.",
        "Export or download the model again.",
    )


def _other_digest(digest: str, wanted: str) -> Refusal:
    return Refusal(
        DIGEST,
        f"The file's sha256 is {digest}, not {wanted}.",
        "Bring the file that was meant, or state its new digest in [project] onnx_sha256.",
    )


def _no_memory(doing: str) -> Refusal:
    return Refusal("resource-bomb", f"{doing} the file takes more memory than allowed.", "Bring a smaller model.")
