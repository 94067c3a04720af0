"""A project's functions, called with its configuration and held to what they promise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from onnxyard.errors import UserCodeError
from onnxyard.project.checks import check_splits
from onnxyard.project.data import Splits
from onnxyard.project.modules import blaming, load_module, siblings_of
from onnxyard.project.protocols import Config
from onnxyard.project.seeding import seeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxyard.project.protocols import Report, Targets, Tensors


class Kinds(NamedTuple):
    """What a framework's models are.

    Attributes:
        types: Any of these classes.
        called: In words, as `a torch.nn.Module`.
    """

    types: tuple[type, ...]
    called: str


@dataclass(frozen=True)
class Functions:
    """The functions of a project's module; see `onnxyard.project.protocols` for what each promises.

    Attributes:
        root: The project's folder.
        module: The loaded module.
        config: What the functions are given: `[develop.config]` with `seed`.
        seed: Seeds the rows of splits that are split off.
        missing: Raw inputs that may hold NaN, or an empty text.
    """

    root: Path
    module: ModuleType
    config: Config
    seed: int
    missing: tuple[str, ...] = ()

    @classmethod
    def load(
        cls, root: Path, file: str, *, digest: str, config: Config, seed: int, missing: tuple[str, ...] = ()
    ) -> Functions:
        """Load `root/file`; the same digest gives the same module, so that it runs once per state of the code.

        Raises:
            UserCodeError: the module cannot be loaded.
        """
        path = root / file
        return cls(root, load_module(path, digest=digest), config, seed, missing)

    def has(self, name: str) -> bool:
        """Whether the module has a function of this name."""
        return callable(getattr(self.module, name, None))

    def data(self) -> Splits:
        """The project's splits with raw inputs: checked, and complete.

        Raises:
            UserCodeError: `data` is missing, raised, or returned something else; a split is empty, holds NaN where no
                value may be missing, or does not look like the others.
        """
        with seeded(self.seed):  # every stage reads the data anew, and must find the same rows
            splits = self._call("data", dict(self.config))
        if not isinstance(splits, Splits):
            raise self._wrong("data", splits, "onnxyard.project.data.Splits")
        with siblings_of(self.root), blaming(self.root, "data gave rows that cannot be read"):
            try:
                # As they were given: the author knows the rows by these numbers.
                check_splits(splits, self.missing)
                completed = splits.completed(self.seed)
                check_splits(completed, self.missing)
            except UserCodeError as error:
                error.where = error.where or self._where("data")
                raise
        return completed

    def model(self, *, gives: Kinds | None = None) -> Any:  # noqa: ANN401 - frameworks are optional: no types to name
        """What `model` makes: fresh, not yet trained.

        Args:
            gives: What it must be; anything where it is left out.

        Raises:
            UserCodeError: `model` is missing, raised, or returned something else.
        """
        return self._made("model", gives, dict(self.config))

    def train(self, splits: Splits, report: Report, *, gives: Kinds | None = None) -> Any:  # noqa: ANN401 - as for `model`
        """What `train` fitted.

        Args:
            splits: With inputs that have been through `preprocess`; without the test split.
            report: Takes the metrics of each step.
            gives: What it must be; anything where it is left out.

        Raises:
            UserCodeError: `train` is missing, raised, or returned something else.
        """
        return self._made("train", gives, splits, dict(self.config), report)

    def metrics(self, targets: Targets, outputs: Tensors) -> dict[str, float]:
        """The project's metrics of these outputs; larger is better.

        Args:
            targets: One per row.
            outputs: The model's outputs by name, before `postprocess`.

        Raises:
            UserCodeError: `metrics` is missing, raised, or returned anything but finite numbers by name.
        """
        scores = self._call("metrics", targets, outputs)
        if not isinstance(scores, Mapping) or not scores:
            raise self._wrong("metrics", scores, "a dict of numbers by name")
        return {str(name): self._number(str(name), value) for name, value in scores.items()}

    def _number(self, name: str, value: object) -> float:
        try:
            number = float(value)  # type: ignore[arg-type]  # anything that float() takes, numpy and torch scalars too
        except (TypeError, ValueError) as error:
            raise self._wrong("metrics", value, f"a number for {name!r}") from error
        if not math.isfinite(number):
            raise UserCodeError(f"metrics returned {number} for {name!r}.", where=self._where("metrics"))
        return number

    def _made(self, name: str, gives: Kinds | None, *arguments: object) -> Any:  # noqa: ANN401 - as for `model`
        made = self._call(name, *arguments)
        if gives is not None and not isinstance(made, gives.types):
            raise self._wrong(name, made, gives.called)
        return made

    def _call(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the user's function returns
        function: Callable[..., object] | None = getattr(self.module, name, None)
        if not callable(function):
            raise UserCodeError(
                f"The project has no function {name!r}.",
                where=Path(str(self.module.__file__)).relative_to(self.root).as_posix(),
                remedy=f"Define `def {_SHAPES[name]}` there.",
            )
        with siblings_of(self.root), blaming(self.root, f"{name} raised"):
            return function(*arguments)

    def _wrong(self, name: str, got: object, wanted: str) -> UserCodeError:
        return UserCodeError(
            f"{name} returned a {type(got).__name__}, not {wanted}.",
            where=self._where(name),
            remedy=f"It must be `def {_SHAPES[name]}`.",
        )

    def _where(self, name: str) -> str:
        code = getattr(getattr(self.module, name), "__code__", None)
        path = Path(str(self.module.__file__))
        file = path.relative_to(self.root).as_posix()
        return f"{file}:{code.co_firstlineno}" if code is not None and code.co_filename == str(path) else file


_SHAPES = {
    "data": "data(config) -> Splits",
    "model": "model(config)",
    "train": "train(splits, config, report)",
    "metrics": "metrics(targets, outputs) -> dict[str, float]",
}
