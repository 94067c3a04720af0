"""Following the registry: one thread that notices new generations, loads them beside the old, swaps and reports."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from onnxyard.errors import OnnxyardError, TransientError
from onnxyard.lifecycle.deployment import ReplicaReport, ReplicaState, Role
from onnxyard.operations import replicas
from onnxyard_serving.assignment import Assignment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from onnxyard.lifecycle.deployment import Deployment
    from onnxyard.lifecycle.version import ModelVersion
    from onnxyard.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
    from onnxyard_serving.cache import Remembered
    from onnxyard_serving.loader import Loader
    from onnxyard_serving.served import Endpoint, Endpoints

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
JITTER = 0.2
"""Share of the interval by which a poll comes early or late, so that replicas do not ask in step."""
HEARTBEAT_SECONDS = 10.0
"""An unchanged report is repeated this often, so that a replica that is gone can be told from a quiet one."""
STOP_SECONDS = 5.0


class Follower:
    """Keeps a replica's endpoints at the registry's generation. Champions answer; other roles are not loaded yet.

    Args:
        endpoints: The replica's endpoints; this thread is their only writer.
        loader: Loads versions.
        open_registry: Opens the registry; called until it succeeds once.
        replica: The replica's name.
        url: Where the replica answers.
        names: Endpoints to serve; empty for every endpoint of the registry.
        now: The time (UTC).
        poll_seconds: Time between two looks.
    """

    def __init__(
        self,
        *,
        endpoints: Endpoints,
        loader: Loader,
        open_registry: Callable[[], UnitOfWorkFactory],
        replica: str,
        url: str,
        names: Sequence[str],
        now: Callable[[], datetime],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._endpoints = endpoints
        self._loader = loader
        self._open_registry = open_registry
        self._replica = replica
        self._url = url
        self._names = tuple(names)
        self._now = now
        self._poll_seconds = poll_seconds
        self._registry: UnitOfWorkFactory | None = None
        self._reported: dict[str, tuple[float, ReplicaReport]] = {}
        # Its own generator: the process's belongs to the version's processing, whose answers may depend on its state.
        self._jitter = random.Random()  # noqa: S311 - no secret
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self.first_pass = threading.Event()
        """Set once the registry was asked for the first time, whatever it said."""
        self.last_heard: datetime | None = None
        """When the registry last answered (UTC)."""
        self.failure = ""
        """Why the registry cannot be followed at present; empty while it can."""
        self.unreported = ""
        """Why this replica's last report could not be written; empty where it was."""
        for name in self._names:
            endpoints.known(name).message = "The registry was not asked yet."

    def restore(self, remembered: Sequence[Remembered]) -> None:
        """Serve what was served last, before the registry is asked. What is damaged is left to the registry."""
        for each in remembered:
            name = each.assignment.endpoint
            if self._names and name not in self._names:
                continue
            endpoint = self._endpoints.known(name)
            try:
                endpoint.current = self._loader.restore(each)
            except OnnxyardError as error:
                endpoint.message = f"The last good state cannot be restored: {error.detail}"
                logger.warning("%s: %s", name, endpoint.message)
            else:
                endpoint.state, endpoint.message = ReplicaState.SERVING, ""
                endpoint.seen_generation = each.assignment.generation

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; a rehearsal that is under way is not waited for beyond a few seconds."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.follow()
            except OnnxyardError as error:
                self._lost(error.detail)
            except Exception as error:  # the thread must outlive whatever it meets, and say so
                if not self.failure:
                    logger.exception("following the registry failed")
                self._lost(f"{type(error).__name__}: {error}")
            self.first_pass.set()
            self._stop.wait(self._poll_seconds * self._jitter.uniform(1 - JITTER, 1 + JITTER))
        self.first_pass.set()

    def _lost(self, why: str) -> None:
        if not self.failure:
            logger.warning("the registry cannot be followed; what is loaded keeps answering: %s", why)
        self.failure = why

    def follow(self) -> None:
        """Look once: take up what is new, then report. Raises what the registry raises."""
        if self._registry is None:
            self._registry = self._open_registry()
        with self._registry() as work:
            news = [
                found
                for name in self._names or work.deployments.endpoints()
                if (found := self._news(work, self._endpoints.known(name))) is not None
            ]
        if self.failure:
            logger.warning("the registry answers again")
        self.failure, self.last_heard = "", self._now()
        for endpoint, deployment, version in news:
            self._take_up(endpoint, deployment, version)
        for endpoint in self._endpoints:
            self._report(endpoint)

    @staticmethod
    def _news(work: UnitOfWork, endpoint: Endpoint) -> tuple[Endpoint, Deployment, ModelVersion] | None:
        if work.deployments.generation(endpoint.name) == endpoint.seen_generation != 0:
            return None
        current = work.deployments.current(endpoint.name)
        champion = next((each for each in current if each.role is Role.CHAMPION), None)
        if champion is None:
            if endpoint.current is None:
                endpoint.message = "The registry has no such endpoint."
            return None
        return endpoint, champion, work.versions.get(champion.model, champion.version)

    def _take_up(self, endpoint: Endpoint, deployment: Deployment, version: ModelVersion) -> None:
        endpoint.state, endpoint.message = ReplicaState.LOADING, ""
        self._report(endpoint)
        named = f"{deployment.model}@{deployment.version} (generation {deployment.generation})"
        try:
            assignment = Assignment.of(deployment, version)
            current = endpoint.current
            if current is not None and replace(assignment, generation=current.generation) == current.assignment:
                served = replace(current, assignment=assignment)  # the same version once more: nothing to load
            else:
                served = self._loader.load(assignment)
            self._loader.keep(served)
        except OnnxyardError as error:
            self._refuse(endpoint, f"{named}: {error.detail} {error.remedy}".rstrip())
            if isinstance(error, TransientError):
                return  # not seen yet: tried again with the next look
        except Exception as error:
            logger.exception("%s: loading %s failed", endpoint.name, named)
            self._refuse(endpoint, f"{named}: {type(error).__name__}: {error}")
        else:
            endpoint.current = served
            endpoint.state = ReplicaState.SERVING
            logger.info("%s: serving %s", endpoint.name, named)
        endpoint.seen_generation = deployment.generation

    @staticmethod
    def _refuse(endpoint: Endpoint, why: str) -> None:
        endpoint.state, endpoint.message = ReplicaState.REFUSED, why
        logger.warning("%s: refused %s", endpoint.name, why)

    def _report(self, endpoint: Endpoint) -> None:
        """Tell the registry where this endpoint stands, if that is news or due again."""
        if self._registry is None or (endpoint.seen_generation == 0 and endpoint.state is ReplicaState.LOADING):
            return
        served = endpoint.current
        said = ReplicaReport(
            replica=self._replica,
            endpoint=endpoint.name,
            url=self._url,
            generation=0 if served is None else served.generation,
            state=endpoint.state,
            version=None if served is None else served.version,
            digest=None if served is None else served.digest,
            provider=None if served is None else served.provider,
            runtime=None if served is None else served.loaded.runtime,
            precision=None if served is None else served.precision,
            message=endpoint.message,
            seen_at=self._now(),
        )
        when, last = self._reported.get(endpoint.name, (0.0, None))
        news = last is None or replace(said, seen_at=last.seen_at) != last
        if news or time.monotonic() - when >= HEARTBEAT_SECONDS:
            self._send(self._registry, said)

    def _send(self, registry: UnitOfWorkFactory, said: ReplicaReport) -> None:
        """Write a report. A registry that can be read but not written is followed all the same."""
        try:
            replicas.report(registry, said)
        except OnnxyardError as error:
            if not self.unreported:
                logger.warning("this replica cannot report: %s", error)
            self.unreported = error.detail
        else:
            self.unreported = ""
            self._reported[said.endpoint] = (time.monotonic(), said)
