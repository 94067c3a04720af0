"""The duels as a chart: per model, how many times slower than our choice everybody is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.optimize.contestants import EVERYBODY, OURS
from benchmarks.optimize.duel import FIRST

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.optimize.duel import Duel

_COLOURS = dict(zip(EVERYBODY[1:], ("#8c8c8c", "#d1782f", "#b5502a", "#c9a227", "#3f72af", "#76b041"), strict=True))


def chart(duels: list[Duel], file: Path) -> None:
    """Median latency at batch size 1 divided by ours, with its 95 % interval. SVG or PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - a second's import, at the end of minutes

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    figure, axes = plt.subplots(figsize=(8, 0.9 * len(duels) + 1.5), layout="constrained")
    told = set()
    for at, duel in enumerate(duels):
        others = [row for row in duel.rows if row.contestant != OURS]
        for place, row in enumerate(others):
            ratio = row.ratios[FIRST]
            slower = 1 / ratio.value
            reach = [[slower - 1 / ratio.high], [1 / ratio.low - slower]]
            label = row.contestant if row.contestant not in told else None
            told.add(row.contestant)
            height = 0.8 / len(others)
            colour = _COLOURS[row.contestant]
            axes.barh(at - 0.4 + (place + 0.5) * height, slower, height * 0.9, xerr=reach, color=colour, label=label)
    axes.axvline(1.0, color="#1b7f5c", linewidth=2, label="Onnxyard's choice")
    axes.set_yticks(range(len(duels)), [duel.model for duel in duels])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("median latency at batch size 1, as a multiple of our choice's (95 % interval)")
    axes.legend(loc="lower right", fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
    plt.close(figure)
