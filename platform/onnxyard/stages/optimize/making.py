"""Making one recipe's model: pass by pass, nothing twice, the steps in the graph left alone."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

import onnx

from onnxyard.disk import full_disk
from onnxyard.errors import OnnxyardError, UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.digest import digest_of, file_digest
from onnxyard.runtimes.compiled_form import precision_of
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.machine import fingerprint
from onnxyard.stages.optimize.between import Between
from onnxyard.stages.optimize.passes.model_file import COUNTED, becoming, counts
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.recipes.catalogue import BASELINE, RECIPES
from onnxyard.stages.optimize.shelf import Shelf

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from onnxyard.stages.optimize.passes.transformation import Materials, Pass
    from onnxyard.stages.optimize.recipes.recipe import Recipe

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""What every runtime that reads ONNX may be expected to know."""

_PRECISIONS = ("int4", "int8", "bf16", "fp16", "fp32", "fp64")
"""From the lowest."""

_NOTE = "transformed.json"


@dataclass(frozen=True, slots=True)
class Made:
    """A recipe's model.

    Attributes:
        folder: It and nothing else.
        file: Its entry file in there.
        changed: Whether it differs from the exported model; only the baseline's and the exported model itself do not.
        facts: What the passes did, by topic.
        precision: The lower one of what the graph shows and what the recipe says: weights of 4 bits do not show.
        portable: Whether it is ONNX without operators outside the standard's domains.
        seconds: What making took; what was found on the shelf took next to none.
    """

    folder: Path
    file: Path
    changed: bool
    facts: dict[str, str]
    precision: str
    portable: bool
    seconds: float


def make(
    recipe: Recipe, source: Path, folder: Path, materials: Materials, *, shelf: Shelf, materials_digest: str
) -> Made:
    """Make a recipe's model of the exported one.

    Steps in the graph are taken off before the passes, and put around what they give: quantizing a tokenizer or a
    suppression of boxes gains nothing, and the passes know neither their operators nor the strings in them. A pass
    that leaves ONNX cannot leave them out, though: it is given the whole. The baseline never fails: where its pass
    does, it is the exported model.

    Args:
        recipe: Its passes are applied in order.
        source: The exported model's entry file, alone in its folder but for its weights.
        folder: The model's place; made, and emptied before.
        materials: Of the model with its steps.
        shelf: Where what passes make is kept, and found by recipes that begin alike.
        materials_digest: Of everything that `materials` gives.

    Raises:
        UnsupportedModelError: a pass has nothing to offer, or no pass but the baseline's changed anything; or a pass
            failed in whatever way (`facts["broke"]` is true then).
        UserCodeError: the project's own code failed.
        MissingExtraError: a package is not installed.
        StorageFullError: no space is left.
    """
    began = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with shelf.scratch() as scratch:
        # What calibrates sees the materials through the steps, which are part of the source.
        seen = digest_of([materials_digest, Artifact.of_folder(source.parent).digest])
        row = _Row(shelf, scratch, seen)
        try:
            file, changed, facts = _tried(row, recipe, source, materials)
        except UnsupportedModelError as error:
            if recipe.name != BASELINE:
                raise
            file, changed, facts = source, [], {"as exported": error.detail}
        own = [each for each in changed if each not in RECIPES[BASELINE].passes]
        if recipe.passes and not own and recipe.name != BASELINE:
            raise UnsupportedModelError(f"The recipe {recipe.name} changed nothing.", broke=False)
        made = _placed(file, folder)
    return Made(
        folder,
        made,
        bool(changed),
        facts | _sizes(source, made),
        min(precision_of(made), recipe.precision, key=_PRECISIONS.index),
        _is_portable(made),
        time.perf_counter() - began,
    )


def _placed(file: Path, folder: Path) -> Path:
    """Copy the file and all that lies beside it. Not by `copytree`, whose error does not tell a full disk."""
    try:
        for path in sorted(file.parent.rglob("*")):
            place = folder / path.relative_to(file.parent)
            if path.is_dir():
                place.mkdir(exist_ok=True)
            else:
                shutil.copyfile(path, place)
    except OSError as error:
        raise full_disk(error) or error from error
    return folder / file.name


def _check_interface(each: Pass, source: Path, made: Path) -> None:
    """Raise UnsupportedModelError where inputs or outputs have other names or dtypes: an optimizer dropped one."""
    if made.suffix != ".onnx":
        return
    before, after = (read_graph(file).signature for file in (source, made))
    for had, has in ((before.inputs, after.inputs), (before.outputs, after.outputs)):
        if [(spec.name, spec.dtype) for spec in had] != [(spec.name, spec.dtype) for spec in has]:
            raise UnsupportedModelError(f"{type(each).__name__} changed the model's inputs or outputs.", broke=True)


def _sizes(source: Path, made: Path) -> dict[str, str]:
    """What became of the graph as a whole, in place of what each pass made of the one before it."""
    if made.suffix != ".onnx":
        return {}
    before, after = (counts(onnx.load(file, load_external_data=False)) for file in (source, made))
    return becoming(before, after)


def _is_portable(made: Path) -> bool:
    domains = (
        {name.rpartition("::")[0] for name in read_graph(made).operators} if made.suffix == ".onnx" else {made.suffix}
    )
    return domains <= STANDARD_DOMAINS


def _tried(row: _Row, recipe: Recipe, source: Path, materials: Materials) -> tuple[Path, list[Pass], dict[str, str]]:
    """As `_Row.through`; whatever is the passes' own failure is an UnsupportedModelError of one line."""
    try:
        return row.through(recipe.passes, source, materials)
    except UnsupportedModelError as error:
        if (full := full_disk(error)) is not None:
            raise full from error
        broke = bool(error.facts.get("broke"))
        raise UnsupportedModelError(_line(error.detail), remedy=error.remedy, broke=broke) from error
    except OnnxyardError:  # the project's code, a package that is missing: not the recipe's doing
        raise
    except Exception as error:  # optimizers raise anything: AssertionError, KeyError, ORT's own
        if (full := full_disk(error)) is not None:
            raise full from error
        raise UnsupportedModelError(_line(f"{type(error).__name__}: {error}"), broke=True) from error


@dataclass(slots=True)
class _Row:
    """Passes one after the other, each result kept on the shelf.

    Attributes:
        shelf: Where results are kept.
        scratch: On its file system.
        materials: What decides what calibrating passes see.
        folders: How many were made below `scratch`.
    """

    shelf: Shelf
    scratch: Path
    materials: str
    folders: int = 0

    def through(
        self, passes: tuple[Pass, ...], source: Path, materials: Materials
    ) -> tuple[Path, list[Pass], dict[str, str]]:
        """The passes' result, its steps around it; which passes changed anything; and what was done."""
        between = Between.of(source, self._new())
        file, given = (source, materials) if between is None else (between.core, between.materials(materials))
        changed: list[Pass] = []
        facts: dict[str, str] = {}
        for each in passes:
            made = self._apply(each, file, given)
            if between is not None and made.file.suffix != ".onnx":
                file, given, between = between.around(file, self._new()), materials, None
                made = self._apply(each, file, given)
            file = made.file
            facts |= {topic: text for topic, text in made.facts.items() if topic not in COUNTED}
            if made.changed:
                changed.append(each)
        if between is not None:
            file = between.around(file, self._new()) if changed else source
        return file, changed, facts

    def _new(self) -> Path:
        """An empty folder."""
        self.folders += 1
        made = self.scratch / str(self.folders)
        made.mkdir()
        return made

    def _apply(self, each: Pass, source: Path, materials: Materials) -> Transformed:
        """The pass's result, found on the shelf or made now."""
        key = self._key(each, source)
        with self.shelf.alone(key):
            kept = self.shelf.find(key)
            if kept is None:
                made = self._new()
                (made / "model").mkdir()
                done = each(source, made / "model", materials)
                _check_interface(each, source, done.file)
                note = {"file": done.file.name, "changed": done.changed, "facts": dict(done.facts)}
                (made / _NOTE).write_text(json.dumps(note))
                kept = self.shelf.keep(key, made)
        note = json.loads((kept / _NOTE).read_text())
        return Transformed(kept / "model" / note["file"], changed=note["changed"], facts=note["facts"])

    def _key(self, each: Pass, source: Path) -> str:
        """Digest all that decides what the pass makes; optimizers and their kernels look at the processor, too."""
        module = Path(str(import_module(type(each).__module__).__file__))
        return digest_of(
            {
                "pass": f"{type(each).__module__}.{type(each).__qualname__}",
                "fields": asdict(cast("DataclassInstance", each)),
                "sources": {path.name: file_digest(path) for path in sorted(module.parent.glob("*.py"))},
                "packages": {package: _version(package) for package in each.packages},
                "machine": fingerprint(),
                "model": Artifact.of_folder(source.parent).digest,
                "file": source.name,
                "materials": self.materials if each.calibrates else "",
            }
        )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # the pass says so itself, where it needs it
        return ""


def _line(text: str) -> str:
    """The first line, cut where it is very long."""
    return (text.strip().splitlines() or [""])[0][:300]
