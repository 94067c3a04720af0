"""What a file is, told from its first bytes, whatever its name says. Nothing is unpacked and nothing unpickled."""

from __future__ import annotations

import os
import re
import zipfile
from typing import TYPE_CHECKING

from onnxyard.sources.admission.refusal import Refusal, in_units, printable
from onnxyard.sources.admission.wire import LENGTH, VARINT, BrokenWireError, Field, fields

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

NOT_ONNX, CORRUPT = "not-onnx", "corrupt-file"

_HEAD_BYTES = 4096
_SMALL_BYTES = 1 << 20
_BOMB_RATIO, _BOMB_BYTES = 100, 1 << 30
"""An archive that unpacks to more than a hundred times its size and beyond 1 GiB is made to do harm: real weights do
not compress."""

_BRING_ONNX = "Give an .onnx file, or the folder of an Onnxyard project."
CAFFE_ROUTE = (
    "Caffe is not supported. Convert it elsewhere with caffe-onnx, in an environment of its own "
    "(pip install caffe-onnx; caffe2onnx deploy.prototxt weights.caffemodel NAME FOLDER), compare its answers with "
    "Caffe's, and bring the .onnx file."
)
_KERAS = 'Make a project with [project] framework = "keras" whose train or model gives the model: onnxyard init DIR.'
_TORCH = (
    "Make a project whose model(config) gives the module, with the weights as a state dict "
    "(torch.save(model.state_dict(), path)) named in [develop] checkpoint."
)

_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image", ""),
    (0, b"\xff\xd8\xff", "a JPEG image", ""),
    (0, b"GIF8", "a GIF image", ""),
    (0, b"%PDF", "a PDF document", ""),
    (0, b"\x7fELF", "an ELF program or library", ""),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it, and give the .onnx file inside."),
    (0, b"BZh", "a bzip2 archive", "Unpack it, and give the .onnx file inside."),
    (0, b"\xfd7zXZ\x00", "an xz archive", "Unpack it, and give the .onnx file inside."),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it, and give the .onnx file inside."),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", "Unpack it, and give the .onnx file inside."),
    (257, b"ustar", "a tar archive", "Unpack it, and give the .onnx file inside."),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes models and weights (.h5)", _KERAS),
    (0, b"\x93NUMPY", "a NumPy array", ""),
    (0, b"SQLite format 3", "an SQLite database", ""),
    (0, b"GGUF", "a GGUF language model", "Take the model's ONNX export, or export its PyTorch original."),
    (4, b"TFL3", "a TensorFlow Lite model", f"TensorFlow Lite cannot be taken back. From its Keras original: {_KERAS}"),
    (4, b"ORTM", "a model in ONNX Runtime's own format (.ort)", "Give the .onnx file that it was made of."),
    (0, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file of before 2020, which is a pickle", _TORCH),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x00-\xff]")
_ZIPPED: tuple[tuple[str, str, str], ...] = (
    (r"(^|/)archive_format$|(^|/)models/[^/]+\.json$", "a PyTorch exported program (.pt2)", _TORCH),
    (r"(^|/)code/.*\.py$|(^|/)constants\.pkl$", "a TorchScript model", _TORCH),
    (r"(^|/)data\.pkl$", "a PyTorch checkpoint, which is a pickle", _TORCH),
    (r"^model\.weights\.h5$", "a Keras model (.keras)", _KERAS),
    (r"^Manifest\.json$|\.mlmodel$", "a Core ML package", ""),
    (r"(^|/)saved_model\.pb$", "a zipped TensorFlow SavedModel", _KERAS),
    (r"\.npy$", "a NumPy archive (.npz)", ""),
    (r"\.onnx$", "a zip archive with an .onnx file inside", "Unpack it, and give the .onnx file."),
)
_TEXTS: tuple[tuple[str, str, str], ...] = (
    (
        r"version https://git-lfs\.github\.com/spec",
        "a Git LFS pointer: the model itself was never fetched",
        "Fetch it with `git lfs pull`.",
    ),
    (r"(?is)\s*(<!doctype html|<html)", "a web page, as a failed download leaves it", "Download the model again."),
    (r"(?s)\s*(<\?xml.*?)?<net\b", "an OpenVINO model", "Give the .onnx file that it was made of."),
    (r"(?s)\s*(<\?xml.*?)?<PMML\b", "a PMML model", ""),
    (r"tree\nversion=", "a LightGBM model", 'Make a project with [project] framework = "lightgbm".'),
    (r'(?s)\s*\{.*"learner"', "an XGBoost model", 'Make a project with [project] framework = "xgboost".'),
    (r'(?s)\s*\{.*"ir_version"|\s*ir_version:|\s*<\s*ir_version', "an ONNX model as text", "Save it with onnx.save."),
    (r"(?s).*\b(layers?|input_param)\s*\{", "a Caffe network (.prototxt)", CAFFE_ROUTE),
    (r"\s*[\[{]", "JSON", ""),
    (r"\s*<", "XML", ""),
)


def refuse_by_kind(file: Path) -> Refusal | None:
    """Why the file cannot be an ONNX model; None for one that has the outer shape of it.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        head = opened.read(_HEAD_BYTES)
        if not head:
            return Refusal(CORRUPT, "The file is empty.", "Export or download the model again.")
        told = _by_magic(head) or _by_zip(opened, head, size) or _by_text(head, size)
        return told or _by_wire(opened, size)


def _not_onnx(what: str, remedy: str) -> Refusal:
    return Refusal(NOT_ONNX, f"This is no ONNX file but {what}.", remedy or _BRING_ONNX)


def _by_magic(head: bytes) -> Refusal | None:
    for at, magic, what, remedy in _MAGIC:
        if head.startswith(magic, at):
            return _not_onnx(what, remedy)
    if _PICKLE.match(head):
        return _not_onnx(
            "a pickle, which runs code when it is opened and was not", f"Pickled objects are refused. {_TORCH}"
        )
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return _not_onnx(
            "a safetensors file: weights without a graph",
            "Make a project whose model(config) gives the module, and name the file in [develop] checkpoint.",
        )
    return None


def _by_zip(opened: BinaryIO, head: bytes, size: int) -> Refusal | None:
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return None
    try:
        with zipfile.ZipFile(opened) as archive:  # reads the table of contents alone
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return _not_onnx("a zip archive that is cut short or broken", "")
    if bomb := _bomb(entries, size):
        return _not_onnx(bomb, "Nothing was unpacked. Do not open it elsewhere either.")
    names = [entry.filename for entry in entries]
    for pattern, what, remedy in _ZIPPED:
        if any(re.search(pattern, name) for name in names):
            return _not_onnx(what, remedy)
    return _not_onnx("a zip archive", "")


def zip_bomb(file: Path) -> str:
    """What a zip archive would unpack to, in words, where that is out of all proportion; empty for any other file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _bomb(archive.infolist(), file.stat().st_size)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return ""


def _bomb(entries: Iterable[zipfile.ZipInfo], size: int) -> str:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked <= _BOMB_BYTES or unpacked <= _BOMB_RATIO * size:
        return ""
    return f"a zip bomb: {in_units(size)} that would unpack to {in_units(unpacked)}"


def _by_text(head: bytes, size: int) -> Refusal | None:
    if b"\x00" in head:
        return None
    text = head.decode("utf-8", errors="ignore" if size > len(head) else "replace")
    if any(not character.isprintable() and character not in "\t\n\r\f" for character in text):
        return None
    for pattern, what, remedy in _TEXTS:
        if re.match(pattern, text):
            return _not_onnx(what, remedy)
    return _not_onnx(f"text that begins with {printable(text.strip()[:40])!r}", "")


def _by_wire(opened: BinaryIO, size: int) -> Refusal | None:
    """By the outermost fields of a protocol buffer: ONNX's ModelProto, or one of those that are taken for it."""
    found: list[Field] = []
    try:
        found.extend(fields(opened, 0, size))
        broken = ""
    except BrokenWireError as error:
        broken = str(error)
    shape = {(field.number, field.kind) for field in found}
    if not _begins_model(found):
        if what := _relative(opened, found, shape):
            return _not_onnx(*what)
        if not broken or not found:
            return _not_onnx("a file of a kind that is not known here", "")
    if broken:
        return Refusal(
            CORRUPT,
            f"The file is cut short or damaged: of its {size} bytes, {broken}.",
            "Export or download the model again.",
        )
    if (7, LENGTH) not in shape:
        return _not_onnx("a protocol buffer without a graph", "")
    return None


def _begins_model(found: Iterable[Field]) -> bool:
    """A ModelProto: `ir_version` is a small number, and no field is of a number that ONNX does not have."""
    known = {1: VARINT, 2: LENGTH, 3: LENGTH, 4: LENGTH, 5: VARINT, 6: LENGTH, 7: LENGTH, 8: LENGTH}
    known |= {14: LENGTH, 20: LENGTH, 25: LENGTH, 26: LENGTH}
    listed = list(found)
    if {(1, VARINT), (7, LENGTH), (8, LENGTH)} <= {(field.number, field.kind) for field in listed}:
        return True
    version = next((field.value for field in listed if (field.number, field.kind) == (1, VARINT)), 1)
    return (
        bool(listed)
        and 1 <= version < 1 << 16
        and all(known.get(field.number) == field.kind for field in listed)
        and any((field.number, field.kind) in {(1, VARINT), (7, LENGTH)} for field in listed)
        and not _is_saved_model(listed)
    )


def _is_saved_model(found: list[Field]) -> bool:
    """TensorFlow's SavedModel: a version, then a large message where ONNX has the producer's name."""
    numbers = {field.number for field in found}
    return numbers <= {1, 2} and any(field.number == 2 and field.end - field.start > 64 for field in found)


def _relative(opened: BinaryIO, found: list[Field], shape: set[tuple[int, int]]) -> tuple[str, str] | None:
    numbers = {field.number for field in found}
    if found and _is_saved_model(found) and (1, VARINT) in shape:
        return "a TensorFlow SavedModel", _KERAS
    if (1, LENGTH) in shape and numbers <= {1, 2, 3, 4} and _holds_node(opened, found):
        return "a TensorFlow graph (.pb)", _KERAS
    if found and (found[0].number, found[0].kind) in {(1, LENGTH), (3, LENGTH), (100, LENGTH)} and numbers <= _CAFFE:
        return "a Caffe model (.caffemodel)", CAFFE_ROUTE
    if {(2, VARINT), (9, LENGTH)} <= shape:
        return "a single ONNX tensor, as the test data of the ONNX Model Zoo", "Give the model.onnx beside it."
    if (1, VARINT) in shape and numbers & set(range(200, 3001)):
        return "a Core ML model (.mlmodel)", "Give the model that it was made of."
    return None


_CAFFE = {1, 2, 3, 4, 5, 6, 7, 8, 100}
"""The fields of Caffe's NetParameter: name, V1 layers, input shapes, state, layer (100)."""


def _holds_node(opened: BinaryIO, found: list[Field]) -> bool:
    """A GraphDef's first field is a node: a message whose own first two fields are texts, its name and operator."""
    first = next(field for field in found if field.number == 1)
    try:
        inner = [(field.number, field.kind) for field in fields(opened, first.start, first.end)]
    except BrokenWireError:
        return False
    return inner[:2] == [(1, LENGTH), (2, LENGTH)]
