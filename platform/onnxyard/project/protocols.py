"""What a project's module says, and what each of its functions is given.

A module holds plain functions; nothing is subclassed or registered:

    def data(config) -> Splits                      where the rows come from
    def model(config) -> torch.nn.Module            the architecture, freshly made
    def train(splits, config, report) -> Module     fit it; left out where there is a checkpoint or a finished file
    def metrics(targets, outputs) -> dict           how good answers are; a larger value is better

`config` is `[develop.config]` of the project file plus `config["seed"]`. A second file, named by
`[project] processing`, may hold `preprocess(raw) -> inputs` and `postprocess(outputs) -> answer`: they travel with
every version, and `train` is given splits that have been through `preprocess` already.

Keras and JAX live in an environment of their own (a toolchain), and so does what trains there: a file named by
`[project] training`, which may import numpy, the toolchain's packages and this module, with

    def train(splits, config, report) -> keras.Model            [project] framework = "keras"

    def model(config) -> apply                                  [project] framework = "jax": apply(params, **inputs)
    def train(splits, config, report) -> params                 a tree of dicts, lists and tuples of arrays
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from onnxyard.project.data import Splits

Tensors: TypeAlias = Mapping[str, np.ndarray]
"""Arrays by name; the first axis of each is the batch."""
Targets: TypeAlias = np.ndarray | Sequence[Any]
"""One target per row: an array, or a list whose elements may differ in shape (the boxes of one image)."""
Config: TypeAlias = Mapping[str, Any]
"""`[develop.config]`, with `seed`."""


class Report(Protocol):
    """Says how training goes: feeds the progress bar and MLflow."""

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Report the metrics of one step (an epoch, say); every value must be finite."""
        ...


class DataFunction(Protocol):
    """`data(config) -> Splits`."""

    def __call__(self, config: Config) -> Splits:
        """Read the data. Raw inputs: what a client of the endpoint would send."""
        ...


class ModelFunction(Protocol):
    """`model(config) -> torch.nn.Module`."""

    def __call__(self, config: Config) -> Any:  # noqa: ANN401 - torch is optional, so its types cannot be named here
        """Make the module, not yet trained. Its weights are stored without pickle and loaded into a fresh one.

        `forward` takes the inputs by name (after `preprocess`) and gives one tensor, a tuple, or a dict by output name.
        """
        ...


class TrainFunction(Protocol):
    """`train(splits, config, report) -> torch.nn.Module`."""

    def __call__(self, splits: Splits, config: Config, report: Report) -> Any:  # noqa: ANN401 - as for ModelFunction
        """Fit `model(config)` on `splits.train` and return it.

        The inputs have been through `preprocess`. There is no test split: it is kept for the gates.
        """
        ...


class MetricsFunction(Protocol):
    """`metrics(targets, outputs) -> dict[str, float]`."""

    def __call__(self, targets: Targets, outputs: Tensors) -> dict[str, float]:
        """Score the model's outputs by name; larger is better, every value finite.

        What the graph gives: behind the steps of `[[postprocess]]`, where there are some, and before a Python
        `postprocess`.
        """
        ...
