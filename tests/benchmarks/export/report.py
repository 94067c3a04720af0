"""What the suite's figures come to: a line per case, a summary, JSON and a chart."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from benchmarks.export.case import Case, Outcome
from benchmarks.export.measuring import Attempted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.export.planting import Planted


@dataclass(frozen=True)
class Row:
    """A case and what both exporters made of it."""

    case: Case
    plain: Attempted
    ours: Attempted

    @property
    def as_it_must(self) -> bool:
        """Whether ours did what must be done with the case."""
        if self.case.outcome is Outcome.MATCHES:
            return self.ours.matches and self.found and not self.accused
        return self.ours.named if self.case.outcome is Outcome.REFUSED else self.found

    @property
    def found(self) -> bool:
        """Whether the doctor finds what it must find."""
        return not self.case.finding or self.case.finding in self.ours.findings

    @property
    def accused(self) -> bool:
        """Whether the doctor warns of a clean module."""
        return not self.case.finding and bool(self.ours.findings)


def line(row: Row) -> str:
    """One case, for the terminal."""
    mark = "ok " if row.as_it_must else "BAD"
    words = [f"{mark} {row.case.name:46} plain {_word(row.plain):18} ours {_word(row.ours):18}"]
    words.append(f"{row.plain.seconds:5.2f} {row.ours.seconds:5.2f} {row.ours.doctor_seconds:5.2f} s")
    if row.ours.findings:
        words.append(row.ours.told[:120])
    elif row.ours.way and row.ours.way != "torch.onnx dynamo":
        words.append(row.ours.way[:90])
    return "  ".join(words)


def _word(attempted: Attempted) -> str:
    if not attempted.exported:
        return "refused"
    if attempted.error is None:
        return "does not run"
    return f"{'matches' if attempted.matches else 'DIFFERS'} {attempted.error:.1e}"


def counts(rows: Sequence[Row], divergences: Sequence[Planted] = ()) -> dict[str, float]:
    """The suite's figures by name."""
    wanted = [row for row in rows if row.case.outcome is Outcome.MATCHES]
    refused = [row for row in rows if row.case.outcome is Outcome.REFUSED]
    both = [row for row in wanted if row.plain.matches and row.ours.matches and row.ours.way == "torch.onnx dynamo"]
    clean = [row for row in wanted if not row.case.finding]
    planted = [row for row in rows if row.case.finding]
    figures: dict[str, float] = {
        "cases": len(rows),
        "should match": len(wanted),
        "match, plain": sum(row.plain.matches for row in wanted),
        "match, ours": sum(row.ours.matches for row in wanted),
        "silently wrong, plain": sum(row.plain.exported and not row.plain.matches for row in wanted),
        "silently wrong, ours": sum(row.ours.exported and not row.ours.matches for row in wanted),
        "should be refused": len(refused),
        "refused, plain": sum(not row.plain.exported for row in refused),
        "refused naming module and line, ours": sum(row.ours.named for row in refused),
    }
    figures |= {
        "clean modules": len(clean),
        "false accusations": sum(row.accused for row in clean),
        "modules with something to find": len(planted),
        "found": sum(row.found for row in planted),
    }
    if divergences:
        noticed = [planted for planted in divergences if planted.noticed]
        figures |= {
            "planted divergences that an output shows": len(noticed),
            "named at the right module and line": sum(planted.named for planted in noticed),
        }
    if both:
        bare = sum(row.plain.seconds for row in both)
        figures |= {
            "overhead: cases that export plainly": len(both),
            "checks / bare export, totals": sum(row.ours.seconds for row in both) / bare,
            "checks / bare export, median": statistics.median(row.ours.seconds / row.plain.seconds for row in both),
            "doctor / bare export, totals": sum(row.ours.doctor_seconds for row in both) / bare,
            "doctor / bare export, median": statistics.median(
                row.ours.doctor_seconds / row.plain.seconds for row in both
            ),
        }
    return figures


def summary(rows: Sequence[Row], divergences: Sequence[Planted]) -> str:
    """The figures in words, and every case that did not come out as it must."""
    told = "\n".join(f"{name:40} {value:.4g}" for name, value in counts(rows, divergences).items())
    bad = [f"  {row.case.name}: {row.ours.told or row.ours.way}" for row in rows if not row.as_it_must]
    bad += [f"  {planted.words()}" for planted in divergences if not planted.named]
    return f"\n{told}\n" + ("\nNot as it must be:\n" + "\n".join(bad) + "\n" if bad else "")


def write_json(rows: Sequence[Row], divergences: Sequence[Planted], file: Path) -> None:
    """Everything, for whoever compares two runs."""
    cases = [
        {"case": row.case.name, "outcome": row.case.outcome, "plain": asdict(row.plain), "ours": asdict(row.ours)}
        for row in rows
    ]
    planted = [asdict(one) | {"named": one.named} for one in divergences]
    written = {"counts": counts(rows, divergences), "cases": cases, "planted": planted}
    file.write_text(json.dumps(written, indent=1) + "\n")


def chart(rows: Sequence[Row], file: Path) -> None:
    """Per theme: how many should match, how many do by plain torch.onnx.export, how many with us. SVG or PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - a second's import, at the end of minutes

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    wanted = [row for row in rows if row.case.outcome is Outcome.MATCHES]
    themes = list(dict.fromkeys(row.case.name.partition("/")[0] for row in wanted))
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(themes) + 1.6), layout="constrained")
    bars = (
        ("should match", "#d9d9d9", lambda _: True, 0.8),
        ("Onnxyard", "#1b7f5c", lambda row: row.ours.matches, 0.5),
        ("plain torch.onnx.export", "#d1782f", lambda row: row.plain.matches, 0.2),
    )
    for label, colour, chosen, height in bars:
        numbers = [sum(chosen(row) for row in wanted if row.case.name.startswith(f"{theme}/")) for theme in themes]
        axes.barh(themes, numbers, height, label=f"{label}: {sum(numbers)}", color=colour)
    axes.invert_yaxis()
    axes.set_xlabel("modules that export and match torch within 1e-4, at every batch size")
    axes.legend(loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
    plt.close(figure)
