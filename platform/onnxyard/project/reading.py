"""Reading `onnxyard.toml`: every mistake at once, each with its line, what was expected and the nearest valid name."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from onnxyard.errors import NotFoundError, ProjectFileError, UnsupportedModelError
from onnxyard.project.agreement import disagreements
from onnxyard.project.file import ProjectFile
from onnxyard.project.positions import KeyPath, key_lines
from onnxyard.project.spelling import nearest
from onnxyard.project.step_reading import SIDES, explained_step, shown_step
from onnxyard.settings import PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

_SYNTAX_LINE = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


def read_project_file(root: Path) -> ProjectFile:
    """Read and check the project file of a folder, and that the files it names are there.

    Raises:
        NotFoundError: no such folder, or no project file in it.
        UnsupportedModelError: it is the folder of a TensorFlow SavedModel.
        ProjectFileError: `facts["problems"]` lists every mistake as `onnxyard.toml:12: [export] opset: expected ...`.
    """
    path = root / PROJECT_FILE
    if (root / "saved_model.pb").is_file():
        raise UnsupportedModelError(
            "This is a TensorFlow SavedModel, no project.",
            where=str(root),
            remedy='Make a project with [project] framework = "keras" whose train gives the model: onnxyard init DIR.',
        )
    if not path.is_file():
        raise NotFoundError(
            f"There is no project: {path} does not exist.",
            remedy=f"Make one with: onnxyard init {root} --template digits",
        )
    try:
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _failed(path, [f"{PROJECT_FILE}:{line}: this is no UTF-8 text"]) from error
    except tomllib.TOMLDecodeError as error:
        raise _failed(path, [_syntax_problem(error, text)]) from error
    lines = key_lines(text)
    problems: list[tuple[KeyPath, str]] = []
    file = None
    try:
        file = ProjectFile.model_validate(document)
    except ValidationError as error:
        details = error.errors()
        told = {detail["loc"][:-1] for detail in details}  # a list is too short only because its elements are wrong
        problems += [_explained(d) for d in details if not (d["type"] == "too_short" and d["loc"] in told)]
    problems += disagreements(document, root)
    if problems or file is None:
        raise _failed(path, _sorted_lines(problems, lines))
    return file


def _failed(path: Path, problems: list[str]) -> ProjectFileError:
    count = "a mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return ProjectFileError(
        f"The project file holds {count}.", where=str(path), remedy="Mend it and run again.", problems=problems
    )


def _syntax_problem(error: tomllib.TOMLDecodeError, text: str) -> str:
    match = _SYNTAX_LINE.match(str(error))
    if match is None:
        return f"{PROJECT_FILE}: {error}"
    what = match["what"][0].lower() + match["what"][1:]
    if match["line"] is None:
        return f"{PROJECT_FILE}:{text.rstrip().count(chr(10)) + 1}: {what}, at the end of the file"
    return f"{PROJECT_FILE}:{match['line']}: {what}, in column {match['column']}"


def _sorted_lines(problems: Iterable[tuple[KeyPath, str]], lines: Mapping[KeyPath, int]) -> list[str]:
    """As `onnxyard.toml:12: [export] opset: ...`, in the order of the file. A key that is not there is placed at the
    nearest table above it that is.
    """  # noqa: D205
    placed = []
    for path, what in dict.fromkeys(problems):
        line = next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 1)
        placed.append((line, f"{PROJECT_FILE}:{line}: {_shown(path)}: {what}"))
    return [text for _, text in sorted(placed, key=lambda entry: entry[0])]


def _shown(path: KeyPath) -> str:
    """As `[export] opset`, `[gates.quality] accuracy`, `[optimize] recipes[1]`."""
    if len(path) > 1 and path[0] in SIDES:
        return shown_step(path)
    sections = [str(part) for part in path if isinstance(part, str)]
    indexes = "".join(f"[{part}]" for part in path if isinstance(part, int))
    if len(sections) == 1:
        return f"[{sections[0]}]{indexes}"
    return f"[{'.'.join(sections[:-1])}] {sections[-1]}{indexes}"


def _explained(detail: ErrorDetails) -> tuple[KeyPath, str]:
    """One of pydantic's errors in our words."""
    path: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
    kind, given = detail["type"], detail["input"]
    if path[0] in SIDES:
        return explained_step(detail)
    if kind == "extra_forbidden":
        return path, f"unknown {'section' if len(path) == 1 else 'key'}{nearest(str(path[-1]), _keys_beside(path))}"
    if kind == "missing":
        return path, f"missing; expected {_expected(path)}"
    near = nearest(given, _choices(path)) if isinstance(given, str) else ""
    return path, f"expected {_expected(path)}, got {_literal(given)}{near}"


def _literal(value: object) -> str:
    """As the reader wrote it, cut short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else f"a list of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _keys_beside(path: KeyPath) -> list[str]:
    model = _model_at(path[:-1])
    return list(model.model_fields) if model is not None else []


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """The model that describes the table at `path`; None where a table's keys are free."""
    kind: Any = ProjectFile
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if part not in kind.model_fields:
                return None
            kind = kind.model_fields[str(part)].annotation
        else:  # dict[Name, Model]: any key leads to the model
            kind = get_args(kind)[-1] if get_args(kind) else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _schema_at(path: KeyPath) -> dict[str, Any]:
    """The JSON schema of the deepest field on the way to `path` that is described."""
    whole = TypeAdapter(ProjectFile).json_schema()
    schema, described = whole, whole
    for part in path:
        inner = _variants(schema, whole)
        key = str(part)
        found = next(
            (
                s["properties"][key] if key in s.get("properties", {}) else _schema_of_any(s)
                for s in inner
                if key in s.get("properties", {}) or _schema_of_any(s)
            ),
            None,
        )
        if not isinstance(found, dict):
            break
        schema = found
        described = next((s for s in (schema, *_variants(schema, whole)) if "description" in s), described)
    return described


def _schema_of_any(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - pydantic writes a schema, a bool or nothing
    """What every element of a list, or every value of a table whose keys are free, has to be."""
    by_pattern = next(iter(schema.get("patternProperties", {}).values()), None)
    return by_pattern or schema.get("additionalProperties") or schema.get("items")


def _variants(schema: dict[str, Any], whole: dict[str, Any]) -> list[dict[str, Any]]:
    """What a schema stands for: references followed, alternatives (`x | None`) listed."""
    resolved = []
    for option in schema.get("anyOf", [schema]):
        name = str(option.get("$ref", "")).rpartition("/")[2]
        resolved.append(whole["$defs"][name] if name else option)
    return resolved


def _expected(path: KeyPath) -> str:
    model = _model_at(path)
    if model is not None or len(path) == 1:
        return f"a section [{'.'.join(map(str, path))}]"
    return str(_schema_at(path).get("description", "something else")).partition("\n")[0]


def _choices(path: KeyPath) -> list[str]:
    return [str(choice) for choice in _schema_at(path).get("enum", [])]
