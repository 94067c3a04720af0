"""Commands on the registry: what there is, what is live, and changing it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import err, out, print_json
from onnxyard.errors import InvalidRequestError, NotFoundError, TransientError

if TYPE_CHECKING:
    from onnxyard.bootstrap import Yard
    from onnxyard.lifecycle.deployment import Deployment

VersionArgument = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="As digits@3.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    for command in (versions, show, promote, rollback, status):
        app.command()(command)
    database = typer.Typer(no_args_is_help=True)
    database.command()(upgrade)
    database.command()(current)
    app.add_typer(database, name="db", help="The registry's schema.")


def versions(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a model's versions, newest first."""
    from rich.table import Table  # noqa: PLC0415 - loaded only when it is used

    from onnxyard.cli.passport import STATUS_STYLE, moment, version_document  # noqa: PLC0415 - as above
    from onnxyard.operations import passports  # noqa: PLC0415 - as above

    found = passports.versions(open_yard(home).unit_of_work, model)
    if as_json:
        print_json({"model": model, "versions": [version_document(version, status) for version, status in found]})
        return
    table = Table("version", "status", "registered", "gates", "source", box=None, header_style="dim", pad_edge=False)
    for version, state in found:
        gates = version.draft.gates
        passed = sum(gate.passed for gate in gates)
        table.add_row(
            f"{model}@{version.number}",
            f"[{STATUS_STYLE[state]}]{state}[/]",
            moment(version.created_at),
            f"{passed} of {len(gates)} passed",
            version.draft.lineage.framework,
        )
    out.print(table)


def show(
    model: Annotated[str, typer.Argument(metavar="MODEL[@VERSION]", help="As digits@3; the newest without @VERSION.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version's passport: where it came from, how it was judged, where it runs and who said so."""
    from onnxyard.cli.passport import passport_document, passport_page  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.operations import passports  # noqa: PLC0415 - as above

    name, number = parse_version(model)
    passport = passports.passport(open_yard(home).unit_of_work, name, number)
    if as_json:
        print_json(passport_document(passport))
    else:
        out.print(passport_page(passport))


def promote(
    version: VersionArgument,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="The endpoint; the model's name by default.", show_default=False)
    ] = None,
    reason: ReasonOption = "promoted by hand",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a validated version the champion of an endpoint."""
    from onnxyard.operations import actors  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.operations import promote as operation  # noqa: PLC0415 - as above

    name, number = parse_version(version)
    if number is None:
        raise InvalidRequestError(
            "Say which version to promote.", where=version, remedy=f"As {name}@3; see: onnxyard versions {name}"
        )
    yard, now = open_yard(home), datetime.now(UTC)
    deployment = operation.promote(
        yard.unit_of_work,
        yard.deployment_target,
        model=name,
        version=number,
        endpoint=endpoint,
        actor=actors.this_actor(),
        reason=reason,
        now=now,
    )
    _tell(yard, deployment, now=now, as_json=as_json)


def rollback(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.")],
    reason: ReasonOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the previous champion of an endpoint live again."""
    from onnxyard.operations import actors  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.operations import rollback as operation  # noqa: PLC0415 - as above

    yard, now = open_yard(home), datetime.now(UTC)
    deployment = operation.roll_back(
        yard.unit_of_work,
        yard.deployment_target,
        endpoint=endpoint,
        actor=actors.this_actor(),
        reason=reason,
        now=now,
    )
    _tell(yard, deployment, now=now, as_json=as_json)


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show every endpoint: what is live, since when, its replicas, and the last drift verdict."""
    from onnxyard.cli.endpoints import endpoint_document, endpoints_page  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.operations import status as operation  # noqa: PLC0415 - as above

    found = operation.endpoints(open_yard(home).unit_of_work)
    if as_json:
        print_json({"endpoints": [endpoint_document(endpoint) for endpoint in found]})
    elif found:
        out.print(endpoints_page(found))
    else:
        out.print("Nothing is deployed yet: onnxyard run DIR")


def upgrade(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Bring the registry's schema to the version this Onnxyard needs."""
    from onnxyard.registry.database import registry_revision, upgrade_registry  # noqa: PLC0415 - SQLAlchemy is an extra
    from onnxyard.settings import Settings  # noqa: PLC0415 - loaded only when it is used

    url = Settings.read(home=home).database_url
    upgrade_registry(url)
    revision, needed = registry_revision(url)
    if as_json:
        print_json({"revision": revision, "needed": needed})
    else:
        out.print(f"The registry's schema is at revision {revision}.")


def current(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the registry's schema version, and the one this Onnxyard needs."""
    from onnxyard.registry.database import registry_revision  # noqa: PLC0415 - SQLAlchemy is an extra

    revision, needed = registry_revision(open_yard(home).settings.database_url)
    if as_json:
        print_json({"revision": revision, "needed": needed})
        return
    out.print(f"The registry's schema is at revision {revision or 'none'}; this Onnxyard needs {needed}.")
    if revision != needed:
        out.print("Run: onnxyard db upgrade")


def open_yard(home: HomeOption) -> Yard:
    """The installation, which must have a registry: asking about nothing shall not make one."""
    from onnxyard.bootstrap import Yard  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.settings import Settings  # noqa: PLC0415 - as above

    settings = Settings.read(home=home)
    embedded = settings.database_url.removeprefix("sqlite:///")
    if embedded == str(settings.home / "registry.sqlite") and not (settings.home / "registry.sqlite").exists():
        raise NotFoundError(
            "There is no registry here yet.",
            where=str(settings.home),
            remedy="Run a project first (onnxyard run DIR), or name another home with --home.",
        )
    return Yard(settings)


def parse_version(text: str) -> tuple[str, int | None]:
    """`digits@3` as its parts; no number where there is no `@`."""
    model, at, number = text.partition("@")
    if not model or (at and not (number.isascii() and number.isdigit())):
        raise InvalidRequestError(
            f"{text!r} names no version.", remedy="Write MODEL@VERSION with a whole number, as digits@3."
        )
    return model, int(number) if at else None


def _tell(yard: Yard, deployment: Deployment, *, now: datetime, as_json: bool) -> None:
    """Say what is live now, after MLflow's alias was moved along where MLflow answers."""
    changed = deployment.created_at == now
    waiting = _deliver_aliases(yard, now)
    if waiting:
        err.print(f"MLflow's alias will follow: {waiting}", markup=False)
    if as_json:
        from onnxyard.cli.passport import deployment_document  # noqa: PLC0415 - loaded only when it is used

        print_json({**deployment_document(deployment), "changed": changed, "alias_pending": bool(waiting)})
        return
    subject = f"{deployment.model}@{deployment.version}"
    if changed:
        out.print(f"{subject} is live at {deployment.endpoint} since generation {deployment.generation}.")
    else:
        out.print(f"{subject} is live at {deployment.endpoint} already (generation {deployment.generation}).")


def _deliver_aliases(yard: Yard, now: datetime) -> str:
    """Why aliases still wait; empty when none does. The change itself is committed either way."""
    from onnxyard.operations.aliases import ALIAS_TOPIC, deliver_aliases  # noqa: PLC0415 - loaded only when it is used

    with yard.unit_of_work() as work:
        if not work.outbox.pending(topic=ALIAS_TOPIC):
            return ""  # and MLflow, which takes seconds to import, is not needed
    try:
        delivery = deliver_aliases(yard.unit_of_work, yard.recorder, now=now)
    except ModuleNotFoundError as missing:
        return f"{missing.name} is not installed here."
    except TransientError as away:
        return away.detail
    return delivery.error if delivery.pending else ""
