"""The replica's own composition: ports filled without the platform's bootstrap, so that its import set stays small."""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onnxyard.artifacts.local import LocalArtifactStore
from onnxyard.errors import ArtifactCorruptError
from onnxyard.predictions.sqlite_log import SqlitePredictionLog
from onnxyard.runtimes.machine import usable_cores
from onnxyard_serving.cache import ReplicaCache
from onnxyard_serving.follower import POLL_SECONDS, Follower
from onnxyard_serving.inference import Inference
from onnxyard_serving.journal import Journal
from onnxyard_serving.loader import Loader
from onnxyard_serving.served import Endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxyard.ports.unit_of_work import UnitOfWorkFactory
    from onnxyard.registry.database import SqlRegistry
    from onnxyard.settings import Settings

logger = logging.getLogger(__name__)


class Replica:
    """Everything one serving process is made of.

    Args:
        settings: The installation.
        url: Where this replica answers.
        names: Endpoints to serve; empty for every endpoint of the registry.
        poll_seconds: Time between two looks at the registry.

    Raises:
        ConflictError: too many replicas live on this home already.
    """

    def __init__(
        self, settings: Settings, *, url: str, names: Sequence[str] = (), poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._cache = ReplicaCache.claim(settings.replicas)
        self.name = self._cache.name
        self.endpoints = Endpoints()
        self._database_url = settings.database_url
        self._registry: SqlRegistry | None = None
        self._log = SqlitePredictionLog(settings.predictions)
        self.journal = Journal(self._log, writer=f"{self.name}/{uuid.uuid4().hex[:8]}")
        self.inference = Inference(self.journal, now=_now)
        self.workers = ThreadPoolExecutor(usable_cores(), thread_name_prefix="infer")
        self.follower = Follower(
            endpoints=self.endpoints,
            loader=Loader(self._cache, LocalArtifactStore(settings.artifacts)),
            open_registry=self._open_registry,
            replica=self.name,
            url=url,
            names=names,
            now=_now,
            poll_seconds=poll_seconds,
        )

    def start(self) -> None:
        """Restore what was served last, then follow the registry."""
        self.journal.start()
        try:
            remembered = self._cache.last_good()
        except ArtifactCorruptError as error:
            logger.warning("%s", error)
        else:
            self.follower.restore(remembered)
        self.follower.start()

    def close(self) -> None:
        """Stop following, finish what runs, write what waits. No request may come any more."""
        self.follower.stop()
        self.workers.shutdown()
        self.journal.close()
        self._log.close()
        if self._registry is not None:
            self._registry.close()
        self._cache.release()

    def _open_registry(self) -> UnitOfWorkFactory:
        from onnxyard.registry.database import open_registry  # noqa: PLC0415 - not needed to answer from the cache

        self._registry = open_registry(self._database_url)
        return self._registry


def _now() -> datetime:
    return datetime.now(UTC)
