"""Is this replica ready, and what would the one on call want to know about it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxyard_serving.compose import Replica
    from onnxyard_serving.served import Endpoint


def readiness(replica: Replica) -> dict[str, Any]:
    """The detail behind `/v2/health/ready`.

    Ready means: what is to be served is known (from the registry, or from the last good state) and a version of each
    of those endpoints is loaded. A refused newer generation, or a registry that does not answer, is shown and changes
    nothing: what is loaded keeps answering.
    """
    follower = replica.follower
    endpoints = list(replica.endpoints)
    known = follower.last_heard is not None or any(endpoint.current is not None for endpoint in endpoints)
    registry: dict[str, Any] = {
        "reachable": follower.last_heard is not None and not follower.failure,
        "last_heard": None if follower.last_heard is None else follower.last_heard.isoformat(),
    }
    if follower.failure:
        registry["message"] = f"{follower.failure} Serving the last good state."
    if follower.unreported:
        registry["unreported"] = follower.unreported
    log: dict[str, Any] = {"dropped": replica.journal.dropped}
    if replica.journal.failure:
        log["message"] = replica.journal.failure
    return {
        "ready": known and all(endpoint.current is not None for endpoint in endpoints),
        "replica": replica.name,
        "registry": registry,
        "prediction_log": log,
        "endpoints": {endpoint.name: _endpoint(endpoint) for endpoint in endpoints},
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    served = endpoint.current
    detail: dict[str, Any] = {"loaded": served is not None, "state": endpoint.state.value}
    if served is not None:
        detail |= {"version": served.version, "generation": served.generation}
    if endpoint.message:
        detail["message"] = endpoint.message
    return detail
