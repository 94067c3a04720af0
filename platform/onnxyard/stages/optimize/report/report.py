"""The search's report: a page, its picture and a table, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.stages.optimize.report.chart import chart
from onnxyard.stages.optimize.report.marks import marks_of
from onnxyard.stages.optimize.report.markup import element, svg
from onnxyard.stages.optimize.report.page import by_target, page
from onnxyard.stages.optimize.report.sheet import sheet
from onnxyard.stages.optimize.report.style import chart_style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from onnxyard.lifecycle.candidate import Candidate

WIDTH, HEIGHT = 960.0, 480.0
"""Of each target's picture in `candidates.svg`."""


def write_report(
    folder: Path,
    candidates: Sequence[Candidate],
    *,
    model: str,
    minimize: str,
    metric: str,
    max_drop: float,
    confidence: float,
) -> Artifact:
    """Write `report.html`, `candidates.svg` and `candidates.csv`; each stands alone and fetches nothing.

    The same candidates give the same bytes.

    Args:
        folder: Made if missing.
        candidates: Of all targets, the baseline of each first.
        model: The model's name.
        minimize: As in `[optimize]`: p50, p99, throughput, size or memory.
        metric: Likewise: what the quality is.
        max_drop: Likewise: the largest drop below the baseline that was allowed.
        confidence: Likewise: the one-sided confidence of every `drop_high`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = page(candidates, model=model, minimize=minimize, metric=metric, max_drop=max_drop, confidence=confidence)
    (folder / "report.html").write_text(told, encoding="utf-8")
    (folder / "candidates.svg").write_text(
        svg(_pictures(candidates, metric=metric, max_drop=max_drop)), encoding="utf-8"
    )
    (folder / "candidates.csv").write_text(sheet(candidates), encoding="utf-8", newline="")
    return Artifact.of_folder(folder)


def _pictures(candidates: Sequence[Candidate], *, metric: str, max_drop: float) -> Element:
    """One picture a target, one below the other; a target of which nothing was timed has none."""
    targets = {target: found for target, found in by_target(candidates).items() if marks_of(found)}
    whole = element(
        "svg",
        element("style", chart_style()),
        view_box=f"0 0 {WIDTH:g} {HEIGHT * max(len(targets), 1):g}",
        width=f"{WIDTH:g}",
        height=f"{HEIGHT * max(len(targets), 1):g}",
    )
    for number, (target, found) in enumerate(targets.items()):
        picture = chart(found, metric=metric, max_drop=max_drop, width=WIDTH, height=HEIGHT, title=target)
        picture.set("y", f"{HEIGHT * number:g}")
        whole.append(picture)
    return whole
