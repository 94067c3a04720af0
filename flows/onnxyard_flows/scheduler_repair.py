"""Let Prefect's scheduler work with SQLAlchemy 2.1: loaded by every Prefect server through `prefect.collections`.

Prefect 3.8 inserts scheduled runs in bulk with a key `state`, which its model also has as a hybrid property. SQLAlchemy
2.0 left such a key alone; 2.1 asks the hybrid how to write it and raises where it does not say ("please supply a
bulk_dml decorated function"), so no schedule of any kind ever fires. Here it is told to leave the key alone: Prefect
writes the states itself right after. To be removed when Prefect says so itself; tests/integration/flows shows a
schedule fire on a worker.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

MODELS = "prefect.server.database.orm_models"


def repair() -> None:
    """Where a server's models are loaded, give their `state` hybrids a bulk setter; elsewhere do nothing."""
    models = sys.modules.get(MODELS)
    if models is None:  # a client or a worker: it has no scheduler, and importing the models takes seconds
        return
    for model in (models.FlowRun, models.TaskRun):
        hybrid = vars(model)["state"]
        if hybrid.bulk_dml_setter is None:
            hybrid.bulk_dml_setter = _leave_alone


def _leave_alone(_model: type[Any], _mapping: MutableMapping[str, Any], _value: object) -> None:
    """Write nothing."""


repair()
