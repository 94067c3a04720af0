"""What `onnxyard blame` compares: both sides, their inputs and the sidecar, from wherever they lie."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.cli.workbench import bench
from onnxyard.diagnosis.blame import TorchSource
from onnxyard.errors import ConflictError, InvalidRequestError, NotFoundError
from onnxyard.lifecycle.handover import ExportResult
from onnxyard.lifecycle.version import ArtifactRole
from onnxyard.ports.runtime import LoadedModel
from onnxyard.project.project import load_project
from onnxyard.project.translations import translations_of
from onnxyard.settings import PROJECT_FILE, Settings, find_project
from onnxyard.sources.admission.admitting import Trial, admit
from onnxyard.sources.admission.laid_out import rows_by_two
from onnxyard.sources.by_name import model_source_of, source_of
from onnxyard.sources.sidecar import SIDECAR_FILE
from onnxyard.sources.source import MODEL_FILE, Asked
from onnxyard.stages.kept import KeptResults
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onnxyard.bootstrap import Yard
    from onnxyard.lifecycle.version import ModelVersion
    from onnxyard.project.project import Project

    Tell = Callable[[str], None]

_ROWS = 64
"""Rows that are compared at most: what differs does so on the first of them already."""


@dataclass(frozen=True, slots=True)
class Case:
    """Both sides, ready to be compared.

    Attributes:
        source: What is right.
        model: The graph in question.
        inputs: Both sides' inputs.
        name: What to call the graph.
        sidecar: The graph's sidecar; empty where there is none.
    """

    source: TorchSource | LoadedModel | Path
    model: Path
    inputs: Mapping[str, np.ndarray]
    name: str
    sidecar: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says.

    Attributes:
        what: MODEL[@VERSION], a project's folder, or an .onnx file.
        against: The graph to judge instead of our own.
        inputs: Rows to compare on, instead of the golden set.
        project: The code of MODEL[@VERSION].
        home: The folder that holds all state.
    """

    what: str
    against: Path | None
    inputs: Path | None
    project: Path | None
    home: Path | None


@contextmanager
def opened(wanted: Wanted, tell: Tell) -> Iterator[Case]:
    """The case that a command line names. A file that is no work of ours is first looked at in a disposable child.

    Raises:
        InvalidRequestError: the options do not fit together, or the inputs cannot be read.
        NotFoundError: there is no such model, version, project or file.
        ConflictError: the project's code is not the version's.
        UnsupportedModelError, ArtifactCorruptError: a file may not be opened.
    """
    if wanted.against is not None:
        _look_at(wanted.against, tell)
    path = Path(wanted.what)
    if path.is_dir() or path.name == PROJECT_FILE:
        with _of_project(path, wanted) as case:
            yield _tried(case, wanted, tell)
    elif path.suffix == ".onnx" or path.is_file():
        yield _tried(_of_files(path, wanted, tell), wanted, tell)
    else:
        with _of_version(wanted) as case:
            yield _tried(case, wanted, tell)


def _look_at(file: Path, tell: Tell) -> None:
    tell(f"blame: looking at {file.name} in a child")
    admit(file)


def _tried(case: Case, wanted: Wanted, tell: Tell) -> Case:
    """The same case, once a child has run what is foreign in it on the very rows: some harm shows on these alone."""
    foreign = [case.model] if wanted.against is not None else []
    if wanted.inputs is not None and isinstance(case.source, Path):
        foreign.insert(0, case.source)
    trial = Trial(rows_by_two(case.inputs), "the rows to compare on")
    for file in foreign:
        tell(f"blame: running {file.name} in a child")
        admit(file, trial=trial)
    return case


def _of_files(file: Path, wanted: Wanted, tell: Tell) -> Case:
    if wanted.against is None:
        raise InvalidRequestError(
            "A file alone has nothing to be compared with.",
            where=str(file),
            remedy=f"Name the graph to judge: onnxyard blame {file} --against OTHER.onnx",
        )
    _look_at(file, tell)
    from onnxyard.diagnosis.blame.rows import first_rows  # noqa: PLC0415 - brings ONNX Runtime
    from onnxyard.diagnosis.blame.samples import sample  # noqa: PLC0415 - only where there are no real inputs

    rows = sample(file) if wanted.inputs is None else first_rows(_read_inputs(wanted.inputs), _ROWS)
    return Case(file, wanted.against, rows, wanted.against.name)


@contextmanager
def _of_project(path: Path, wanted: Wanted) -> Iterator[Case]:
    from onnxyard.bootstrap import Yard  # noqa: PLC0415 - a file needs no installation

    yard = Yard(Settings.read(home=wanted.home, start=_folder(path).absolute()))
    with bench(yard, load_project(path)) as table:
        golden = table.folder / "golden_set"
        request = table.export_request()
        model, sidecar = (
            (wanted.against, {})
            if wanted.against is not None
            else _exported(yard, request.key(), table.folder) or _export(request, table.folder)
        )
        case = Case(
            _source(table.project, table.folder / "fitted", golden),
            model,
            _rows(golden / "inputs", wanted.inputs),
            table.project.name if wanted.against is None else wanted.against.name,
            sidecar,
        )
        yield _model_alone(table.project, case, table.folder)


@contextmanager
def _of_version(wanted: Wanted) -> Iterator[Case]:
    from onnxyard.cli.registry import open_yard, parse_version  # noqa: PLC0415 - a file needs no registry
    from onnxyard.operations import passports  # noqa: PLC0415 - as above
    from onnxyard.processing.composing import has_steps  # noqa: PLC0415 - brings onnx

    name, number = parse_version(wanted.what)
    yard = open_yard(wanted.home)
    version = passports.passport(yard.unit_of_work, name, number).version
    yard.settings.workspaces.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="blame-", dir=yard.settings.workspaces))
    try:
        for role in (ArtifactRole.FITTED, ArtifactRole.GOLDEN_SET, ArtifactRole.SIDECAR):
            yard.store.fetch(_artifact(version, role), folder / role)
        golden = folder / ArtifactRole.GOLDEN_SET
        model = wanted.against or _model_of(yard, version, folder)
        finished = version.draft.lineage.framework.startswith("onnx ")
        project = None if finished and not has_steps(model) else _project_of(version, wanted.project, yard)
        source: TorchSource | LoadedModel | Path = folder / ArtifactRole.FITTED / MODEL_FILE
        if project is not None:
            source = _source(project, folder / ArtifactRole.FITTED, golden)
        case = Case(
            source,
            model,
            _rows(golden / "inputs", wanted.inputs),
            f"{name}@{version.number}" if wanted.against is None else wanted.against.name,
            _read_sidecar(folder / ArtifactRole.SIDECAR),
        )
        yield case if project is None else _model_alone(project, case, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _source(project: Project, fitted: Path, golden: Path) -> TorchSource | LoadedModel | Path:
    """The project's fitted model: looked into where the framework allows it."""
    if project.file.project.onnx is not None:
        return fitted / MODEL_FILE
    if project.file.project.framework != "torch":
        return model_source_of(project).load(project, fitted)
    from onnxyard.sources.torch.exporting import source_tree  # noqa: PLC0415 - the `torch` extra
    from onnxyard.sources.torch.reference import load_module  # noqa: PLC0415 - as above

    return TorchSource(
        load_module(project, fitted),
        outputs=tuple(read_tensors(golden / "outputs")),
        axes=project.file.project.axes,
        translations=translations_of(project),
        tree=source_tree(project),
    )


def _model_alone(project: Project, case: Case, folder: Path) -> Case:
    """The same case without the steps around the model, where the project has some: both sides run them alike."""
    from onnxyard.sources.processed import Processed, without_steps  # noqa: PLC0415 - brings ONNX Runtime

    source = source_of(project)
    if not isinstance(source, Processed):
        return case
    asked = source.model_asked(project, Asked(case.inputs, (), None, project.file.project.axes, {}))
    inside = case.source
    if isinstance(inside, TorchSource):
        inside = replace(inside, outputs=asked.outputs, axes=asked.axes)
    model, sidecar = without_steps(case.model, case.sidecar, folder)
    return replace(case, source=inside, model=model, inputs=asked.inputs, sidecar=sidecar)


def _exported(yard: Yard, key: str, folder: Path) -> tuple[Path, Mapping[str, object]] | None:
    """What export made under this key, if it was kept."""
    kept = KeptResults(yard.settings.results, yard.store).find(ExportResult, "export", key)
    if kept is None:
        return None
    yard.store.fetch(kept.model.digest, folder / "model")
    yard.store.fetch(kept.sidecar.digest, folder / "sidecar")
    return folder / "model" / MODEL_FILE, _read_sidecar(folder / "sidecar")


def _export(request: Any, folder: Path) -> tuple[Path, Mapping[str, object]]:  # noqa: ANN401 - ExportRequest
    from onnxyard.stages.export.stage import run  # noqa: PLC0415 - imports the framework

    run(request, folder)
    return folder / "model" / MODEL_FILE, _read_sidecar(folder / "sidecar")


def _model_of(yard: Yard, version: ModelVersion, folder: Path) -> Path:
    """The version's exported graph; where it was not kept, the graph of a target that is still in float32."""
    key = dict(version.draft.lineage.stage_keys).get("export", "")
    kept = _exported(yard, key, folder)
    if kept is not None:
        return kept[0]
    plain = next((one for one in version.models if one.execution and one.execution.precision == "fp32"), None)
    if plain is None:
        raise NotFoundError(
            f"The exported graph of {version.draft.model}@{version.number} was not kept.",
            remedy=f"Export it again: onnxyard run DIR, or compare a file of yours with --against FILE.{MODEL_FILE}.",
        )
    yard.store.fetch(plain.artifact.digest, folder / "model")
    return folder / "model" / MODEL_FILE


def _project_of(version: ModelVersion, given: Path | None, yard: Yard) -> Project:
    """The project that a version was made of: the code that is named, or the folder that holds home.

    Raises:
        NotFoundError: there is no project.
        InvalidRequestError: it makes another model.
        ConflictError: its code was changed since.
    """
    folder = given or find_project(yard.settings.home) or find_project(Path.cwd())
    subject = f"{version.draft.model}@{version.number}"
    if folder is None:
        raise NotFoundError(
            f"The code of {subject} is not beside its home.",
            where=str(yard.settings.home),
            remedy="Name the project's folder with --project DIR.",
        )
    project = yard.acquired(load_project(folder))
    if project.name != version.draft.model:
        raise InvalidRequestError(
            f"The project there makes {project.name}, not {version.draft.model}.",
            where=str(folder),
            remedy="Name the right folder with --project DIR.",
        )
    lineage = version.draft.lineage
    if project.code_digest != lineage.source_digest:
        commit = f"Check out {lineage.git_commit}, or b" if lineage.git_commit else "Restore it, or b"
        raise ConflictError(
            f"The project's code is not the code that {subject} was made of.",
            where=str(folder),
            remedy=f"{commit}lame the project as it is now: onnxyard blame {folder}",
            recorded=lineage.source_digest,
            present=project.code_digest,
        )
    return project


def _artifact(version: ModelVersion, role: ArtifactRole) -> str:
    found = version.artifact(role)
    if found is None:
        raise NotFoundError(f"{version.draft.model}@{version.number} has no {role} artifact.")
    return found.artifact.digest


def _rows(golden: Path, given: Path | None) -> dict[str, np.ndarray]:
    tensors = _read_inputs(given) if given is not None else read_tensors(golden)
    return {name: array[:_ROWS] for name, array in tensors.items()}


def _read_inputs(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name, from an `.npz` file (never unpickled) or a folder of tensors. Raises InvalidRequestError."""
    if path.is_dir():
        return read_tensors(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise InvalidRequestError(
            f"These are no inputs: {error}", where=str(path), remedy="Save them with numpy.savez(path, NAME=array)."
        ) from error


def _read_sidecar(folder: Path) -> Mapping[str, object]:
    document: dict[str, object] = json.loads((folder / SIDECAR_FILE).read_bytes())
    return document


def _folder(path: Path) -> Path:
    return path.parent if path.name == PROJECT_FILE else path
