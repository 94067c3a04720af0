"""How many small modules export and match by plain torch.onnx.export, and how many with Onnxyard, and what that costs.

    python tests/benchmarks/export [--only PATTERN] [--out FOLDER]

Prints one line per case and a summary, and writes export.json and export.svg into the folder. About eight minutes on
two quiet cores. Not a test: figures belong to the machine that printed them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script: the tests' folder holds the suite

from benchmarks.export.measuring import ours, plain
from benchmarks.export.planting import PLANTED_IN, Planted, plant
from benchmarks.export.report import Row, chart, line, summary, write_json
from benchmarks.export.suite import suite
from onnxyard.runtimes.machine import describe


def main() -> None:
    """Export every case twice, in turn, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cases by name, as 'resize/*' or antialias")
    parser.add_argument("--out", type=Path, default=Path("export-benchmark"), help="folder of the report")
    options = parser.parse_args()
    cases = suite(options.only)
    if not cases:
        raise SystemExit(f"No case is called {options.only}.")
    say = sys.stdout.write
    say(f"{describe()}\n{len(cases)} cases\n")
    for export in (plain, ours):  # a first export in a process pays for imports
        export(cases[0])
    rows = []
    for number, one in enumerate(cases):
        # In turn, and each first in every other case: whatever else the machine does meets both alike.
        results = {export.__name__: export(one) for export in ((plain, ours) if number % 2 else (ours, plain))}
        rows.append(Row(one, results["plain"], results["ours"]))
        say(f"{number + 1:3}/{len(cases)} {line(rows[-1])}\n")
        sys.stdout.flush()
    divergences: list[Planted] = []
    for one in cases:
        if one.name in PLANTED_IN:
            for planted in plant(one):
                divergences.append(planted)
                say(f"{'ok ' if planted.named else 'BAD'} {planted.words()}\n")
                sys.stdout.flush()
    say(summary(rows, divergences))
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(rows, divergences, options.out / "export.json")
    chart(rows, options.out / "export.svg")
    say(f"Written: {options.out / 'export.json'}, {options.out / 'export.svg'}\n")


if __name__ == "__main__":
    main()
