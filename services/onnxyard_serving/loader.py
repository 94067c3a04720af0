"""From an assignment to a version that answers, through every check that comes before a swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.errors import GateFailedError
from onnxyard.profile.reference import read_reference
from onnxyard.project.processing import load_processing
from onnxyard.runtimes.rehearsal import rehearse
from onnxyard.runtimes.runtime import runtime_named, version_of
from onnxyard.tensors.dtypes import onnx_name
from onnxyard.tensors.files import read_tensors
from onnxyard_serving.cache import Remembered
from onnxyard_serving.datatypes import check_servable
from onnxyard_serving.served import ServedVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onnxyard.ports.artifact_store import ArtifactStore
    from onnxyard_serving.assignment import Assignment
    from onnxyard_serving.cache import ReplicaCache

WARM_UPS = 3


class Loader:
    """Loads versions for one replica.

    Args:
        cache: The replica's folder.
        store: Where artifacts come from.
    """

    def __init__(self, cache: ReplicaCache, store: ArtifactStore) -> None:
        self._cache = cache
        self._store = store

    def load(self, assignment: Assignment) -> ServedVersion:
        """Fetch, verify, rehearse in a child, load, warm up. Nothing of it touches what answers now.

        Raises:
            NotFoundError, ArtifactCorruptError: an artifact is gone or its bytes are not the recorded ones.
            UnsupportedModelError, GateFailedError: the rehearsal or the warm-up failed.
            InvalidRequestError: the version's processing failed on its own golden set; or its runtime knows no such
                options (MissingExtraError: that runtime is not installed here).
            StorageFullError: no space is left in the cache.
        """
        return self._load(assignment, lambda digest: self._cache.artifact(digest, self._store), rehearsed=None)

    def restore(self, remembered: Remembered) -> ServedVersion:
        """Load from the cache alone, digests verified; rehearsed anew only if the runtime is another one by now.

        Raises as `load`, less what the store raises.
        """
        setup = remembered.assignment.setup
        same = remembered.runtime == version_of(setup.runtime, setup.provider)
        return self._load(remembered.assignment, self._cache.own, rehearsed=remembered.precision if same else None)

    def keep(self, served: ServedVersion) -> None:
        """Remember as the last good state of its endpoint."""
        self._cache.remember(Remembered(served.assignment, served.loaded.runtime, served.precision))

    def _load(
        self, assignment: Assignment, folder_of: Callable[[str], Path], *, rehearsed: str | None
    ) -> ServedVersion:
        check_servable(assignment.signature)
        setup = assignment.setup
        runtime = runtime_named(setup.runtime)  # before anything is fetched for one that is not here
        model_file = folder_of(assignment.model_digest) / "model.onnx"
        golden_set = folder_of(assignment.golden_set)
        reference = folder_of(assignment.reference)
        processing = load_processing(None if assignment.processing is None else folder_of(assignment.processing))
        precision = rehearsed
        if precision is None:
            report = rehearse(
                model_file,
                inputs=golden_set / "inputs",
                expected=reference / f"expected-{assignment.target}",
                setup=setup,
                signature=assignment.model_signature,
            )
            precision = report.precision
        served = ServedVersion(
            assignment=assignment,
            loaded=runtime.load(model_file, provider=setup.provider, threads=setup.threads, options=setup.options),
            processing=processing,
            layout=read_reference(reference).layout,
            precision=precision,
        )
        _warm_up(served, golden_set / "raw")
        return served


def _warm_up(served: ServedVersion, raw_folder: Path) -> None:
    """Answer the golden set's raw inputs a few times, end to end; the answers must be what the signature says."""
    raw = read_tensors(raw_folder)
    answers = {}
    for _ in range(WARM_UPS):
        answers = served.answer(raw)
    served.layout.describe(raw, answers)
    for spec in served.signature.outputs:
        answer = answers.get(spec.name)
        if answer is None or onnx_name(answer.dtype) != spec.dtype or not spec.accepts(answer.shape):
            got = "nothing" if answer is None else f"{onnx_name(answer.dtype)} {list(answer.shape)}"
            raise GateFailedError(
                f"The version's answer {spec.name!r} is {got}; its signature says {spec.dtype} {list(spec.shape)}."
            )
