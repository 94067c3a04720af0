"""Model versions in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from onnxyard.errors import ConflictError, NotFoundError
from onnxyard.registry.inserts import insert_if_absent
from onnxyard.registry.mapping import version_of, version_row
from onnxyard.registry.tables import ModelRow, VersionRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from onnxyard.lifecycle.version import ModelVersion, VersionDraft


class SqlVersions:
    """The port `Versions`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, draft: VersionDraft, *, at: datetime) -> ModelVersion:
        # The model's row is the counter: updating it makes registrations at the same moment wait for one another.
        insert_if_absent(self._session, ModelRow, name=draft.model, last_number=0, created_at=at)
        counted = self._session.execute(
            update(ModelRow)
            .where(ModelRow.name == draft.model)
            .values(last_number=ModelRow.last_number + 1)
            .returning(ModelRow.id, ModelRow.last_number)
        ).one()
        present = self.by_key(draft.model, draft.key)
        if present is not None:
            raise ConflictError(
                f"{draft.model}@{present.number} is registered under this key already.",
                model=draft.model,
                version=present.number,
            )
        row = version_row(draft, model_id=counted.id, number=counted.last_number, at=at)
        self._session.add(row)
        self._session.flush()
        return version_of(row)

    def by_key(self, model: str, key: str) -> ModelVersion | None:
        row = self._session.scalar(
            select(VersionRow).join(ModelRow).where(ModelRow.name == model, VersionRow.key == key)
        )
        return None if row is None else version_of(row)

    def get(self, model: str, number: int) -> ModelVersion:
        row = self._session.scalar(
            select(VersionRow).join(ModelRow).where(ModelRow.name == model, VersionRow.number == number)
        )
        if row is not None:
            return version_of(row)
        last = self._session.scalar(select(ModelRow.last_number).where(ModelRow.name == model))
        if last is None:
            raise NotFoundError(f"There is no model {model}.", remedy=_listing(self.models()), model=model)
        raise NotFoundError(
            f"{model} has no version {number}; there are 1 to {last}.",
            remedy=f"See them with: onnxyard versions {model}",
            model=model,
            version=number,
        )

    def of_model(self, model: str) -> tuple[ModelVersion, ...]:
        rows = self._session.scalars(
            select(VersionRow).join(ModelRow).where(ModelRow.name == model).order_by(VersionRow.number.desc())
        )
        return tuple(version_of(row) for row in rows)

    def models(self) -> tuple[str, ...]:
        return tuple(sorted(self._session.scalars(select(ModelRow.name))))


def _listing(models: tuple[str, ...]) -> str:
    return f"Known models: {', '.join(models)}." if models else "No model was registered yet: onnxyard run DIR"
