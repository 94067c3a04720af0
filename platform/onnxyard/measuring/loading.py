"""A model loaded as a setup says: in this process, or in a child where its runtime lives in a toolchain."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxyard.measuring.bench import Bench
from onnxyard.runtimes.runtime import runtime_named, toolchain_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnxyard.lifecycle.setup import Setup
    from onnxyard.ports.runtime import LoadedModel


@contextmanager
def loaded(file: Path, setup: Setup, *, scratch: Path, home: Path | None = None) -> Iterator[LoadedModel]:
    """The model, ready to run.

    Args:
        file: Its entry file.
        setup: How it is run.
        scratch: For a child's tensors and log.
        home: The folder that holds toolchains; None takes what the settings say.

    Raises as `onnxyard.ports.runtime.Runtime.load`.
    """
    if toolchain_of(setup.runtime, setup.provider) is None:
        yield runtime_named(setup.runtime).load(
            file, provider=setup.provider, threads=setup.threads, options=setup.options
        )
        return
    with Bench(file, setup, scratch=scratch, home=home) as bench:
        yield bench
