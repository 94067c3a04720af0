"""Do the sections of a project file agree with each other, and with the files beside it?

The rules look at the raw document, so that they are reported together with whatever else is wrong in it; each keeps
silent about values of a wrong type, which are reported already.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.project.file import PACKAGES, PROVIDERS, RECIPES
from onnxyard.project.step_reading import step_disagreements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from onnxyard.project.positions import KeyPath

Problem = tuple["KeyPath", str]
BASELINE = "fp32"
"""What every other recipe is compared with."""


def disagreements(document: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    """Every place where the document contradicts itself, or names a file that `root` does not hold."""
    yield from _files(document, root)
    yield from _source(document)
    yield from _recipes(document)
    yield from _metrics(document)
    yield from _targets(document)
    yield from step_disagreements(document, root)


def _files(document: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    for where, name in _named_files(document):
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            yield where, f"{name!r} must lie inside the project's folder"
        elif not (root / path).is_file() and not _is_saved_model(root / path, document):
            beside = [p.relative_to(root).as_posix() for p in root.glob(f"*{path.suffix}") if p.is_file()]
            yield where, f"there is no file {name!r}{_hint(name, beside)}"
    for number, pattern in enumerate(_list(document, "project", "files")):
        if isinstance(pattern, str) and pattern:
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                yield ("project", "files", number), f"{pattern!r} must lie inside the project's folder"
            elif not any(root.glob(pattern)):
                yield ("project", "files", number), f"nothing matches {pattern!r}"


def _named_files(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for section, key in (
        ("project", "module"),
        ("project", "training"),
        ("project", "processing"),
        ("project", "onnx"),
        ("develop", "checkpoint"),
    ):
        name = _text(document, section, key)
        if name is not None and not (key == "onnx" and name.startswith(("models:/", "zoo:"))):
            yield (section, key), name
    translations = _table(document, "export", "translations")
    for operator, place in translations.items():
        if isinstance(place, str) and ":" in place:
            yield ("export", "translations", operator), place.partition(":")[0]


def _is_saved_model(path: Path, document: Mapping[str, Any]) -> bool:
    return _text(document, "project", "framework") == "keras" and (path / "saved_model.pb").is_file()


def _source(document: Mapping[str, Any]) -> Iterator[Problem]:
    framework = _text(document, "project", "framework") or "torch"
    if framework in PACKAGES and PACKAGES[framework] and _text(document, "project", "training"):
        yield ("project", "training"), f"{framework} trains in this environment: leave it out, train lies in module"
    if _table(document, "export", "translations") and (framework != "torch" or _text(document, "project", "onnx")):
        yield ("export", "translations"), "only PyTorch's exporter takes translations"
    if _text(document, "project", "onnx") and _text(document, "develop", "checkpoint"):
        yield ("develop", "checkpoint"), "a finished [project] onnx file needs no checkpoint; leave one of them out"
    if _text(document, "project", "onnx_sha256") and not _text(document, "project", "onnx"):
        yield ("project", "onnx_sha256"), "there is no [project] onnx that it could be the digest of"
    outputs = [output for output in _list(document, "project", "outputs") if isinstance(output, str)]
    for output in sorted({output for output in outputs if outputs.count(output) > 1}):
        yield ("project", "outputs"), f"{output!r} stands there more than once"
    for name, columns in _table(document, "project", "columns").items():
        texts = [column for column in columns if isinstance(column, str)] if isinstance(columns, list) else []
        twice = sorted({column for column in texts if texts.count(column) > 1})
        if twice:
            yield ("project", "columns", name), f"{twice[0]!r} stands there more than once"


def _recipes(document: Mapping[str, Any]) -> Iterator[Problem]:
    recipes = [recipe for recipe in _list(document, "optimize", "recipes") if isinstance(recipe, str)]
    if recipes and BASELINE not in recipes:
        yield ("optimize", "recipes"), f"{BASELINE!r} must be among them: the others are compared with it"
    for number, recipe in enumerate(_list(document, "optimize", "recipes")):
        if isinstance(recipe, str) and recipe and recipe not in RECIPES:
            yield ("optimize", "recipes", number), f"there is no recipe {recipe!r}{_hint(recipe, RECIPES)}"
    for recipe in sorted({recipe for recipe in recipes if recipes.count(recipe) > 1}):
        yield ("optimize", "recipes"), f"{recipe!r} stands there more than once"


def _metrics(document: Mapping[str, Any]) -> Iterator[Problem]:
    gated = list(_table(document, "gates", "quality"))
    if not gated:
        return
    metric = _text(document, "optimize", "metric")
    if metric is not None and metric not in gated:
        yield ("optimize", "metric"), f"{metric!r} has no threshold in [gates.quality]{_hint(metric, gated)}"
    for name in _table(document, "gates", "max_drop"):
        if name not in gated:
            yield ("gates", "max_drop", name), f"{name!r} has no threshold in [gates.quality]{_hint(name, gated)}"


def _targets(document: Mapping[str, Any]) -> Iterator[Problem]:
    targets = document.get("targets", {"cpu": {}})
    if not isinstance(targets, dict):
        return
    for name, target in targets.items():
        if not isinstance(target, dict):
            continue
        given, provider = target.get("runtime", "onnxruntime"), target.get("provider")
        runtimes = [each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str)]
        for each in runtimes:
            runtime, _, own = each.partition(":")
            known = PROVIDERS.get(runtime, ())
            if not known:
                yield ("targets", name, "runtime"), f"there is no runtime {runtime!r}{_hint(runtime, PROVIDERS)}"
            elif own and own not in known:
                yield ("targets", name, "runtime"), f"{runtime} has no provider {own!r}{_hint(own, known)}"
            elif isinstance(provider, str) and (own or len(runtimes) > 1):
                yield ("targets", name, "provider"), f'say which runtime it is of, as "{runtime}:{provider}"'
                break
            elif isinstance(provider, str) and provider not in known:
                yield ("targets", name, "provider"), f"{runtime} has no provider {provider!r}{_hint(provider, known)}"
    wanted = _text(document, "deploy", "target")
    if wanted is not None and wanted not in targets:
        yield ("deploy", "target"), f"there is no [targets.{wanted}]{_hint(wanted, targets)}"


def _hint(name: str, valid: Iterable[str]) -> str:
    known = list(valid)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(sorted(known))}" if known else ""


def _table(document: Mapping[str, Any], section: str, key: str) -> dict[str, Any]:
    table = document.get(section)
    inner = table.get(key) if isinstance(table, dict) else None
    return inner if isinstance(inner, dict) else {}


def _list(document: Mapping[str, Any], section: str, key: str) -> list[Any]:
    table = document.get(section)
    inner = table.get(key) if isinstance(table, dict) else None
    return inner if isinstance(inner, list) else []


def _text(document: Mapping[str, Any], section: str, key: str) -> str | None:
    """The text at a key; None where there is none, or something else, or nothing in it."""
    table = document.get(section)
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) and value else None
