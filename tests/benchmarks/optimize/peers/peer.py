"""A contestant that is not ours, spoken to as a bench of ours is."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.measuring.bench import Bench, cores_for
from onnxyard.toolchains.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAM = Path(__file__).with_name("program.py")


class Peer(Bench):
    """A process that answers blocks of calls, pinned to the cores that our candidates are pinned to.

    Args:
        kind: One of the program's LOADERS.
        given: What its loader needs.
        scratch: For tensors on their way and the child's log.
        python: The interpreter of its environment; ours by default.
        environ: Its environment variables; ours by default.
    """

    def __init__(
        self,
        kind: str,
        given: Mapping[str, Any],
        *,
        scratch: Path,
        python: Path = Path(sys.executable),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._limit_s = 600.0  # torch.compile compiles at the first call
        self._numbers = itertools.count()
        self._worker = Worker(
            python, _PROGRAM, name=f"peer-{kind}", home=scratch, environ=environ or {**os.environ}, title=kind
        )
        cores = cores_for(0)
        try:
            said = self._ask("load", kind=kind, cores=cores, threads=len(cores), **given)
        except BaseException:
            self._worker.close()
            raise
        self.load_ms, self.runtime = float(said["load_ms"]), str(said["runtime"])
