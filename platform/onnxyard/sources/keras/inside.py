"""The program inside the toolchain `tensorflow`: trains, stores, runs and converts Keras models and SavedModels.

Stored is `model.keras` (an archive of JSON and HDF5, made so that the same model gives the same bytes) or the folder of
a SavedModel; neither holds a pickle. The only code in a `.keras` file would be a Lambda layer's, which is refused.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import warnings
import zipfile
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from onnx import defs

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UnsupportedModelError, UserCodeError
from onnxyard.sources.inside import Converted, Program
from onnxyard.sources.keras import erfc
from onnxyard.sources.keras.layers import Layers
from onnxyard.sources.keras.settling import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MODEL = "model.keras"
SAVED_MODEL = "saved_model"
_FOREIGN = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile"}
"""Operators of a SavedModel that reach out of it."""
_STYLE = re.compile(r"\x1b\[\d+m")
_MADE = "2000-01-01@00:00:00"
"""Keras writes the time into the archive; the same model must be the same bytes."""


class Keras(Program):
    """See `onnxyard.sources.inside.Program`."""

    framework = f"keras {keras.__version__} (tensorflow {tf.__version__})"
    exporter = f"tf2onnx {metadata.version('tf2onnx')} (tensorflow {tf.__version__})"

    def __init__(self) -> None:
        super().__init__()
        self._model: keras.Model | None = None
        self._call: Callable[[dict[str, Any]], Any] = _nothing

    def prepare(self, *, threads: int, deterministic: bool) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        keras.utils.set_random_seed(self.seed)
        if deterministic:
            tf.config.experimental.enable_op_determinism()

    def store(self, trained: Any, folder: Path) -> None:
        if not isinstance(trained, keras.Model):
            raise UserCodeError(
                f"train returned a {type(trained).__name__}, not a keras.Model.",
                remedy="It must be `def train(splits, config, report) -> keras.Model`.",
            )
        for weight in trained.weights:
            values = np.asarray(weight.value)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise UserCodeError(
                    f"The fitted weight {weight.path!r} holds NaN or infinity: training diverged.",
                    remedy="Lower the learning rate, or clip the gradients.",
                )
        trained.save(folder / f"draft-{MODEL}")
        _same_bytes(folder / f"draft-{MODEL}", folder / MODEL)
        (folder / f"draft-{MODEL}").unlink()
        self.restore(folder)  # what cannot be loaded again must not pass for stored

    def adopt(self, checkpoint: Path, folder: Path) -> None:
        if checkpoint.is_dir():
            shutil.copytree(checkpoint, folder / SAVED_MODEL)
        elif checkpoint.suffix == ".keras":
            shutil.copyfile(checkpoint, folder / MODEL)
        else:
            raise UserCodeError(
                "The checkpoint is neither a .keras file nor a SavedModel's folder.",
                where=checkpoint.name,
                remedy="Save the model with model.save('model.keras') or model.export('folder').",
            )
        try:
            self.restore(folder)
        except ArtifactCorruptError as error:
            raise UserCodeError(error.detail, where=checkpoint.name) from error

    def restore(self, folder: Path) -> None:
        if (folder / SAVED_MODEL).is_dir():
            self._call = _saved_model(folder / SAVED_MODEL, self.names)
            return
        file = folder / MODEL
        _refuse_lambdas(file)
        try:
            model = keras.saving.load_model(file, compile=False, safe_mode=True)
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise ArtifactCorruptError(f"The Keras model cannot be read: {error}", where=file.name) from error
        except (TypeError, ValueError, AttributeError, ImportError) as error:  # a class that is not known, say
            raise UserCodeError(
                f"Keras cannot load the stored model: {_gist(error)}",
                remedy="Layers of your own need @keras.saving.register_keras_serializable() and get_config(), in the "
                "file that [project] training names.",
            ) from error
        self._model = model
        self._call = lambda inputs: model(_arguments(model, inputs), training=False)

    @contextmanager
    def blaming(self, what: str) -> Iterator[None]:
        """Keras puts what happened below a line that only says where: turn it around."""
        with super().blaming(what):
            try:
                yield
            except ValueError as error:
                raise ValueError(_reason(error)).with_traceback(error.__traceback__) from error

    def answer(self, inputs: Mapping[str, np.ndarray]) -> Any:
        with self.blaming("the model raised"):
            made = self._call({name: tf.constant(values) for name, values in inputs.items()})
        return keras.tree.map_structure(_array, made)

    def convert(self, example: Mapping[str, np.ndarray], axes: Mapping[str, list[int | str]], opset: int) -> Converted:
        specs = [
            tf.TensorSpec(
                [axis if isinstance(axis, int) else None for axis in axes[name]], tf.as_dtype(values.dtype), name=name
            )
            for name, values in example.items()
        ]

        def whole(*tensors: Any) -> dict[str, Any]:
            return self.named(self._call(dict(zip(example, tensors, strict=True))))

        applied = erfc.register()
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what it says in errors is read from the graph
        try:
            with warnings.catch_warnings():
                # its own, about a numpy attribute that it merely asks for
                warnings.filterwarnings("ignore", message=r"In the future `np\.object`", category=FutureWarning)
                model, _ = tf2onnx.convert.from_function(
                    tf.function(whole, input_signature=specs), input_signature=specs, opset=opset
                )
        except InvalidRequestError:
            raise
        except Exception as error:  # tf2onnx raises whatever it stumbles over
            raise UnsupportedModelError(
                f"tf2onnx cannot convert the model: {_gist(error)}", where=self.place(error)
            ) from error
        layers = Layers(self._model)
        _refuse_unknown(model, layers)
        settle(model)
        origins = {
            output: {"module": layer.name, "kind": f"{type(layer).__module__}.{type(layer).__qualname__}", "source": ""}
            for node in model.graph.node
            for output in node.output
            if (layer := layers.of(node.name) or layers.of(output)) is not None
        }
        return Converted(model, origins, [erfc.REMEDY] if applied.used else [])


def _nothing(_: dict[str, Any]) -> Any:
    raise UserCodeError("No model was loaded.")


def _arguments(model: keras.Model, inputs: dict[str, Any]) -> Any:
    """Inputs in the shape that the model takes: it says how where it is functional; else one tensor, or all by name."""
    taken = getattr(model, "inputs", None)
    if not taken:
        return next(iter(inputs.values())) if len(inputs) == 1 else inputs
    if len(taken) == 1 and len(inputs) == 1:
        return next(iter(inputs.values()))
    names = [tensor.name for tensor in taken]
    if set(names) != set(inputs):
        raise InvalidRequestError(
            f"The model takes {', '.join(names)}; it was given {', '.join(inputs)}.",
            remedy="Name the keras.Input layers like the project's inputs.",
        )
    return keras.tree.pack_sequence_as(model.input, [inputs[name] for name in names])


def _saved_model(folder: Path, names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """The serving signature of a SavedModel, with outputs in the project's order where it has no names for them."""
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ArtifactCorruptError(f"The SavedModel cannot be read: {_gist(error)}", where=folder.name) from error
    found = dict(loaded.signatures)
    signature = found.get("serving_default") or (next(iter(found.values())) if len(found) == 1 else None)
    if signature is None:
        raise UserCodeError(
            f"The SavedModel has no signature serving_default, but {', '.join(found) or 'none'}.", where=folder.name
        )
    foreign = _FOREIGN & {operation.type for operation in _operations(signature)}
    if foreign:
        raise UserCodeError(
            f"The SavedModel holds {', '.join(sorted(foreign))}, which reach out of the graph.", where=folder.name
        )
    taken = list(signature.structured_input_signature[1])

    def call(inputs: dict[str, Any]) -> Any:
        given = dict(zip(taken, inputs.values(), strict=True)) if len(taken) == len(inputs) == 1 else inputs
        if set(given) != set(taken):
            raise InvalidRequestError(f"The SavedModel takes {', '.join(taken)}; it was given {', '.join(inputs)}.")
        made = signature(**given)
        numbered = all(re.fullmatch(r"output_\d+", name) for name in made)
        return [made[f"output_{i}"] for i in range(len(made))] if numbered and set(made) != set(names) else made

    call.__loaded__ = loaded  # type: ignore[attr-defined]  # the signature's variables live as long as this object
    return call


def _operations(function: Any) -> list[Any]:
    graph = function.graph
    inner = [operation for each in graph._functions.values() for operation in each.graph.get_operations()]  # noqa: SLF001 - nothing public walks nested functions
    return [*graph.get_operations(), *inner]


def _refuse_lambdas(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactCorruptError(f"The Keras model cannot be read: {error}", where=file.name) from error
    names = _lambdas(config)
    if names:
        raise UserCodeError(
            f"The layer {names[0]!r} is a Lambda: its Python code cannot be stored without pickle.",
            remedy="Write a class for it: keras.layers.Layer with @keras.saving.register_keras_serializable().",
            layers=names,
        )


def _lambdas(config: Any) -> list[str]:
    if isinstance(config, list):
        return [name for item in config for name in _lambdas(item)]
    if not isinstance(config, dict):
        return []
    if config.get("class_name") == "Lambda":
        return [str((config.get("config") or {}).get("name", "lambda"))]
    return [name for item in config.values() for name in _lambdas(item)]


def _same_bytes(draft: Path, file: Path) -> None:
    """The archive without the time it was made at and addresses of that process's memory."""
    with zipfile.ZipFile(draft) as made, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as kept:
        for name in sorted(made.namelist()):
            content = made.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "date_saved": _MADE}).encode()
            if name == "config.json":
                content = json.dumps(_renumbered(json.loads(content), {})).encode()
            kept.writestr(zipfile.ZipInfo(name), content)


def _renumbered(config: Any, seen: dict[int, int]) -> Any:
    """The configuration with its shared objects numbered in order of appearance instead of by address."""
    if isinstance(config, list):
        return [_renumbered(item, seen) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: seen.setdefault(value, len(seen)) if key == "shared_object_id" else _renumbered(value, seen)
        for key, value in config.items()
    }


def _refuse_unknown(model: Any, layers: Layers) -> None:
    """Tf2onnx leaves an operator that it cannot translate in the graph, under its TensorFlow name: name them all."""
    missing: dict[str, str] = {}
    for node in model.graph.node:
        if not defs.has(node.op_type, node.domain):
            layer = layers.of(node.name)
            missing.setdefault(f"{node.op_type}{f' (layer {layer.name!r})' if layer is not None else ''}", node.op_type)
    if missing:
        raise UnsupportedModelError(
            f"tf2onnx has no translation for: {', '.join(missing)}.",
            remedy="Use other operations there.",
            operators=sorted(set(missing.values())),
        )


def _array(value: Any) -> Any:
    array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    if array.dtype.kind != "O":
        return array
    return np.array([text.decode() for text in array.ravel()], dtype=object).reshape(array.shape)


def _gist(error: Exception) -> str:
    return f"{type(error).__name__}: {_reason(error)}"


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    told = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return _STYLE.sub("", (told or lines)[0])


COMMANDS = Keras().commands
