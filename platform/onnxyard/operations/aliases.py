"""Keep MLflow's alias in step with the registry, whenever MLflow answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxyard.errors import NotFoundError, TransientError

if TYPE_CHECKING:
    from datetime import datetime

    from onnxyard.ports.recorder import Recorder
    from onnxyard.ports.unit_of_work import UnitOfWorkFactory

ALIAS_TOPIC = "mlflow.alias"
CHAMPION_ALIAS = "champion"


@dataclass(frozen=True, slots=True)
class AliasDelivery:
    """What became of the waiting aliases.

    Attributes:
        delivered: Aliases set.
        pending: Aliases still waiting.
        error: Why the last one waits; empty where none does.
    """

    delivered: int
    pending: int
    error: str = ""


def deliver_aliases(unit_of_work: UnitOfWorkFactory, recorder: Recorder, *, now: datetime) -> AliasDelivery:
    """Set every alias that waits in the outbox; what fails stays and is tried at the next call.

    No transaction is open while MLflow is asked, and setting an alias is idempotent: being killed in between, or two
    deliveries at once, does no harm, for a delivery ends only when the outbox's newest message of the model is out.

    Raises:
        UnreachableError, StorageFullError: of the registry; MLflow's absence is told in the result.
    """
    with unit_of_work() as work:
        waiting = work.outbox.pending(topic=ALIAS_TOPIC)
    delivered = 0
    error = ""
    for message in waiting:
        try:
            recorder.set_alias(
                model=str(message.payload["model"]),
                alias=str(message.payload["alias"]),
                version=str(message.payload["mlflow_model_version"]),
            )
        except (TransientError, NotFoundError) as failure:
            error = failure.detail
            with unit_of_work() as work:
                work.outbox.failed(message.number, error=str(failure))
                work.commit()
            if isinstance(failure, TransientError):
                break  # MLflow is away for the others, too
            continue
        with unit_of_work() as work:
            work.outbox.delivered(message.number, at=now)
            work.commit()
        delivered += 1
    return AliasDelivery(delivered, len(waiting) - delivered, error)
