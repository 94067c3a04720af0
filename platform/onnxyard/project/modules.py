"""Running a project's own Python: loaded under a name of its own, siblings importable, its folder left untouched."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from onnxyard.errors import MissingExtraError, OnnxyardError, UserCodeError
from onnxyard.lifecycle.digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

_EXTRA_OF = dict.fromkeys(("torch", "safetensors", "onnxscript"), "torch")
_EXTRA_OF |= dict.fromkeys(("sklearn", "pandas", "xgboost", "lightgbm"), "trees")
"""Which extra of Onnxyard brings a package that projects import."""
_ISOLATED = {"keras", "tensorflow", "jax", "flax", "equinox", "optax"}
"""Never in this environment: they come with a toolchain."""


class _Loader(SourceFileLoader):
    """Loads source and leaves no `__pycache__` in the user's folder: without a time stamp Python neither reads nor
    writes compiled files (importlib.abc.SourceLoader.path_stats).
    """  # noqa: D205

    def path_stats(self, path: str) -> NoReturn:
        raise OSError(path)


_imported: dict[str, Path] = {}
"""The siblings that are imported now, and the project's folder each belongs to."""


class _Siblings:
    """A meta path finder for the modules beside a project's module."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module beside the project's, or below a package that is; None leaves the search to Python's own finders."""
        folder = self.root if path is None else Path(next(iter(path), "/"))
        if not folder.is_relative_to(self.root):
            return None
        spec = FileFinder(str(folder), (_Loader, [".py"])).find_spec(name, target)
        if spec is None or spec.loader is None:  # a mere folder must not hide a package that is installed
            return None
        _imported[name] = self.root
        return spec


@contextmanager
def siblings_of(root: Path) -> Iterator[None]:
    """Let `import name` find `root/name.py` while the block runs, as a script started there could.

    Modules that another project left behind are forgotten first, so that two projects in one process never share a
    `processing`. What this one imports stays known, because torch looks classes up by their module's name.
    """
    _forget(lambda home: home != root)
    finder = _Siblings(root)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def load_module(path: Path, *, digest: str) -> ModuleType:
    """Run a Python file under a module name of its own; the same file and digest again give the same module.

    Args:
        path: The file, absolute.
        digest: Of all code that the module may import.

    Raises:
        UserCodeError: the file cannot be compiled or raised while it ran.
        MissingExtraError: it imports a package that an extra of Onnxyard brings.
    """
    name = f"{UNIQUE}{path.stem}_{digest_of([str(path), digest])[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    _forget(lambda _: True)  # siblings may have changed since they were imported
    spec = spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    if spec is None or spec.loader is None:  # a .py path always has both
        raise UserCodeError("This is no Python file.", where=str(path))
    module = module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and torch look themselves up
    try:
        with siblings_of(path.parent), blaming(path.parent, f"{path.name} cannot be loaded"):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def blaming(root: Path, what: str) -> Iterator[None]:
    """Turn whatever the user's code raises in the block into one UserCodeError with the place it came from.

    Args:
        root: The project's folder: the last frame of the traceback inside it is named.
        what: What failed, as `train raised`.

    Raises:
        UserCodeError: for any exception but our own, `sys.exit()` included.
        MissingExtraError: a package that an extra of Onnxyard brings is not installed.
    """
    try:
        yield
    except OnnxyardError as error:
        if isinstance(error, UserCodeError) and not error.where:
            error.where = _place(error, root, inside_only=True)
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if extra := _EXTRA_OF.get(package):
            raise MissingExtraError(
                f"The project needs {package}, which is not installed.",
                where=_place(error, root),
                remedy=f"Install it with: pip install 'onnxyard[{extra}]'",
                extra=extra,
                package=package,
            ) from error
        if package in _ISOLATED:
            raise UserCodeError(
                f"{what}: {package} lives in an environment of its own, where only training runs.",
                where=_place(error, root),
                remedy='Put train into a file of its own, named by [project] training = "training.py".',
            ) from error
        raise _told(error, root, what) from error
    except (Exception, SystemExit) as error:
        raise _told(error, root, what) from error


def _told(error: BaseException, root: Path, what: str) -> UserCodeError:
    place = _place(error, root)
    text = str(error).strip().splitlines()
    return UserCodeError(
        f"{what}: {type(error).__name__}{': ' + text[0] if text else ''}",
        where=place,
        remedy="Mend it there; the error that --json prints has the whole traceback.",
        traceback="".join(traceback.format_exception(error)),
    )


def _place(error: BaseException, root: Path, *, inside_only: bool = False) -> str:
    """`file.py:12 in function` of the last frame inside `root`; else of the last frame of all, or nothing."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    if not inside and (inside_only or not frames):
        return ""
    frame = (inside or frames)[-1]
    name = Path(frame.filename).relative_to(root).as_posix() if inside else Path(frame.filename).name
    return f"{name}:{frame.lineno} in {frame.name}"


def _forget(chosen: Callable[[Path], bool]) -> None:
    """Let the siblings of chosen folders be imported anew."""
    for name in [name for name, home in _imported.items() if chosen(home)]:
        del _imported[name]
        sys.modules.pop(name, None)


UNIQUE = "onnxyard_project_"
"""Modules loaded under a name of their own start with this."""
