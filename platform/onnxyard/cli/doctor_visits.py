"""A visit at the doctor's: a project or a file is examined, and mended where that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnxyard.cli.output import err
from onnxyard.lifecycle.finding import Finding

if TYPE_CHECKING:
    from onnxyard.cli.workbench import Bench
    from onnxyard.diagnosis.doctor.examination import Examination
    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.project.project import Project


@dataclass(frozen=True, slots=True)
class Remedy:
    """What `--fix` did about a finding: `code`, whether it was `kept`, and what was `told` about it."""

    code: str
    kept: bool
    told: str


@dataclass(frozen=True, slots=True)
class Visit:
    """The outcome.

    Attributes:
        name: The project's name, or the file.
        kind: `project` or `file`.
        findings: What is still found, the gravest first.
        export: What is known of the proven export; None for a file, and where there is none.
        remedies: What `--fix` did.
        written: The new file that `--fix` wrote; empty where it wrote none.
    """

    name: str
    kind: str
    findings: tuple[Finding, ...]
    export: dict[str, object] | None = None
    remedies: tuple[Remedy, ...] = ()
    written: str = ""

    @property
    def exit_code(self) -> int:
        """0 clean, 1 works with findings, 7 blocked."""
        from onnxyard.diagnosis.gravity import exit_code  # noqa: PLC0415 - loaded only when it is used

        return exit_code(self.findings)


def visit_file(file: Path, *, fix: bool, ceiling: str | None = None) -> Visit:
    """Inspect a finished file in a disposable child; with `fix`, write a mended one beside it.

    Args:
        file: The file.
        fix: Whether to mend what can be.
        ceiling: The oldest ONNX Runtime release that must load it, as `1.17`.

    Raises:
        ConflictError: there is a mended file already.
        What `inspect_file` raises.
    """
    from onnxyard.diagnosis.inspection.fixing import fix_file  # noqa: PLC0415 - loads ONNX Runtime
    from onnxyard.diagnosis.inspection.inspecting import inspect_file  # noqa: PLC0415 - as above

    with err.status(f"doctor {file.name}"):
        findings = inspect_file(file, ceiling=ceiling)
        codes = [finding.code for finding in findings if finding.fix]
        if not fix or not codes:
            return Visit(str(file), "file", findings)
        mended = fix_file(file, codes, file.with_name(f"{file.stem}.fixed{file.suffix}"), ceiling=ceiling)
        kept = tuple(
            Remedy(code, kept=True, told=f"Done; on made-up inputs the answers differ by {error:.2g}.")
            for code, error in mended.applied.items()
        )
        refused = tuple(Remedy(code, kept=False, told=f"Not applied: {why}") for code, why in mended.refused.items())
        if mended.file is None:
            return Visit(str(file), "file", findings, remedies=refused)
        return Visit(
            str(file),
            "file",
            inspect_file(mended.file, ceiling=ceiling),
            remedies=(*kept, *refused),
            written=str(mended.file),
        )


def visit_project(path: Path, home: Path | None, *, fix: bool) -> Visit:
    """Develop a project (or take what an earlier command made of it) and examine its model.

    Raises:
        NotFoundError: there is no project.
        What developing raises.
    """
    from onnxyard.bootstrap import Yard  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.cli.workbench import bench  # noqa: PLC0415 - as above
    from onnxyard.diagnosis.doctor import examine  # noqa: PLC0415 - as above
    from onnxyard.diagnosis.doctor.repair import repair  # noqa: PLC0415 - as above
    from onnxyard.project.project import load_project  # noqa: PLC0415 - as above
    from onnxyard.settings import Settings  # noqa: PLC0415 - as above

    yard = Yard(Settings.read(home=home, start=path))
    with bench(yard, load_project(path)) as ready, err.status(f"doctor {ready.project.name}") as status:

        def examined(project: Project) -> Examination:
            with TemporaryDirectory(prefix="doctor-", dir=ready.folder) as scratch:
                return examine(_subject(ready, project), Path(scratch) / "model")

        examination = examined(ready.project)
        remedies: tuple[Remedy, ...] = ()
        if fix:
            status.update(f"doctor {ready.project.name}: trying remedies")
            asked = _subject(ready, ready.project).asked
            repairs, examination = repair(ready.project, asked, examination, examined)
            remedies = tuple(Remedy(one.finding.code, one.kept, one.told) for one in repairs)
        findings = examination.findings
        if ready.project.finished is not None:
            pinned = ready.project.file.project.onnx_sha256
            findings = _with_file(findings, ready.project.finished.file, pinned)
        return Visit(ready.project.name, "project", findings, _export(examination), remedies)


def _subject(ready: Bench, project: Project) -> Subject:
    from onnxyard.diagnosis.doctor import Subject  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.stages.export.ceilings import fitting_opset, highest_ir_version  # noqa: PLC0415 - as above

    request = replace(ready, project=project).export_request()
    return Subject.of_project(
        project,
        fitted=request.fitted,
        golden_set=request.golden_set,
        processing=request.processing,
        opset=fitting_opset(project),
        ir_version=highest_ir_version(project),
    )


def _with_file(findings: tuple[Finding, ...], file: Path, sha256: str | None) -> tuple[Finding, ...]:
    """What is found in the finished file itself comes with it."""
    from onnxyard.diagnosis.gravity import in_order  # noqa: PLC0415 - loaded only when it is used
    from onnxyard.diagnosis.inspection.inspecting import inspect_file  # noqa: PLC0415 - as above

    return in_order((*findings, *inspect_file(file, sha256=sha256)))


def _export(examination: Examination) -> dict[str, object] | None:
    if examination.proven is None:
        return None
    checked = examination.proven.checked
    return {
        "exporter": examination.proven.exported.exporter,
        "opset": checked.graph.opset,
        "ir_version": checked.graph.ir_version,
        "nodes": checked.graph.nodes,
        "max_error": checked.max_error,
        "relative_error": checked.relative_error,
    }
