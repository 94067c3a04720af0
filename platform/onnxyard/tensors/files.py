"""Tensors on disk: one ONNX TensorProto file each, and a JSON index. Never a pickle.

    FOLDER/index.json   [{"name": "pixels", "file": "0000.pb", "dtype": "FLOAT", "shape": [32, 1, 8, 8]}, ...]
    FOLDER/0000.pb      TensorProto

The index is written last: a folder without one was never finished. Names may be any text, so files are numbered.
"""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types; onnx brings it
from onnx import TensorProto, numpy_helper

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, StorageFullError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.tensors.dtypes import onnx_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INDEX = "index.json"
_LARGEST = (1 << 31) - (1 << 20)
"""A protobuf message ends at 2 GiB; some room is left for the names."""


def write_tensors(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write every tensor below `folder` (made if missing), in the order given.

    Args:
        folder: Where to write.
        tensors: Arrays of any shape, 0-d and empty ones too; strings as str in an object array or a numpy string type.

    Raises:
        InvalidRequestError: a dtype that ONNX does not have, a string array that holds something else, 2 GiB or more.
        StorageFullError: no space is left; the folder has no index then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for number, (name, values) in enumerate(tensors.items()):
        proto = _encode(name, np.asarray(values))
        file = f"{number:04d}.pb"
        write_bytes(folder / file, proto.SerializeToString(deterministic=True))
        dtype = TensorProto.DataType.Name(proto.data_type)
        index.append({"name": name, "file": file, "dtype": dtype, "shape": list(proto.dims)})
    write_bytes(folder / INDEX, canonical_json(index))


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of a folder, in the order they were written; STRING comes as an object array of str.

    Raises:
        ArtifactCorruptError: the index or a file is missing, broken, or does not say what the other says.
    """
    index = _read_index(folder)
    return {name: _decode(folder / file, dtype, shape) for name, file, dtype, shape in index}


def _encode(name: str, values: np.ndarray) -> TensorProto:
    dtype = onnx_name(values.dtype)
    if dtype != "STRING":
        if values.nbytes >= _LARGEST:
            raise InvalidRequestError(f"Tensor {name!r} has {values.nbytes} bytes; a file holds less than 2 GiB.")
        return numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
    proto = TensorProto(name=name, data_type=TensorProto.STRING, dims=values.shape)
    for text in values.ravel().tolist():
        if not isinstance(text, str):
            raise InvalidRequestError(f"Tensor {name!r} holds a {type(text).__name__} among its strings.")
        proto.string_data.append(text.encode("utf-8", "surrogatepass"))
    return proto


def _decode(path: Path, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    proto = TensorProto()
    try:
        proto.ParseFromString(path.read_bytes())
        said = TensorProto.DataType.Name(proto.data_type)
        if (said, tuple(proto.dims)) != (dtype, shape):
            raise ArtifactCorruptError(
                f"The file holds {said}{list(proto.dims)}, its index says {dtype}{list(shape)}.", where=str(path)
            )
        if dtype != "STRING":
            return numpy_helper.to_array(proto)
        # Not numpy_helper: it goes through a fixed-width array, which loses trailing NUL characters.
        texts = np.empty(len(proto.string_data), dtype=object)
        texts[:] = [text.decode("utf-8", "surrogatepass") for text in proto.string_data]
        return texts.reshape(shape)
    except (OSError, ValueError, TypeError, DecodeError) as error:
        raise ArtifactCorruptError(f"A tensor cannot be read: {error}.", where=str(path)) from error


def protobuf_error() -> type[Exception]:
    """The exception protobuf raises on bytes that are no message; in one place, because protobuf ships no types."""
    kind: type[Exception] = DecodeError
    return kind


def _read_index(folder: Path) -> list[tuple[str, str, str, tuple[int, ...]]]:
    path = folder / INDEX
    try:
        entries = json.loads(path.read_bytes())
        index = [(str(e["name"]), str(e["file"]), str(e["dtype"]), tuple(int(n) for n in e["shape"])) for e in entries]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtifactCorruptError(f"The index of these tensors cannot be read: {error!r}.", where=str(path)) from error
    strays = [file for _, file, _, _ in index if "/" in file or "\\" in file or file in {"", ".", ".."}]
    if strays:
        raise ArtifactCorruptError(f"The index names a file outside its folder: {strays[0]!r}.", where=str(path))
    return index


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the whole of it or none: temp file, fsync, rename.

    Raises:
        StorageFullError: no space is left; nothing was written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError(f"No space is left to write {len(content)} bytes.", where=str(path)) from error
        raise
