"""How fast the search's choice is, beside plain ONNX Runtime, torch and what other optimizers find by themselves.

    python tests/benchmarks/optimize [--models resnet ...] [--budget SECONDS] [--json FILE] [--svg FILE]
    python tests/benchmarks/optimize --honesty 10 [--models ...]
    python tests/benchmarks/optimize --search-time [--models resnet]

The first takes each model through one search of everybody's, and then times everybody in turns, a process each, on the
same cores. The second loads the choice again and again and looks whether its median lies where the search said. The
third counts candidates and seconds. Models are trained once and kept in the cache's folder, as Olive's toolchain is.
Not a test: figures belong to the machine that printed them, and to nothing else running on it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script: the tests' folder holds the benchmark

from benchmarks.optimize.chart import chart
from benchmarks.optimize.contestants import EVERYBODY, OURS
from benchmarks.optimize.duel import Duel, duel, say
from benchmarks.optimize.honesty import honesty
from benchmarks.optimize.shipping import MODELS, ship
from onnxyard.errors import OnnxyardError
from onnxyard.runtimes.machine import describe
from onnxyard.settings import Settings


def main() -> None:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="MODEL")
    parser.add_argument(
        "--budget", type=float, default=240.0, metavar="SECONDS", help="of each search, ours and others'"
    )
    parser.add_argument("--against", nargs="*", choices=EVERYBODY, default=EVERYBODY, metavar="WHOM")
    parser.add_argument("--launches", type=int, default=3, help="processes of each contestant, one after the other")
    parser.add_argument("--rounds", type=int, default=20, help="blocks of calls per process and batch size")
    parser.add_argument("--honesty", type=int, metavar="RUNS", help="load the choice so many times instead")
    parser.add_argument("--search-time", action="store_true", help="count candidates and seconds instead")
    parser.add_argument("--cache", type=Path, default=Path("optimize-benchmark"), help="folder of what is kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="a chart of the ratios")
    options = parser.parse_args()
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    os.environ["ONNXYARD_HOME"] = str(cache / "home")  # also for children: toolchains are looked for there
    logging.getLogger().setLevel(logging.ERROR)
    sys.stdout.write(f"{describe()}\n")
    duels: list[Duel] = []
    written: list[dict[str, object]] = []
    for name in options.models:
        try:
            if options.honesty:
                checked = honesty(name, cache, budget_s=options.budget, runs=options.honesty)
                sys.stdout.write(f"{checked.words()}\n")
                written.append(asdict(checked) | {"inside": checked.inside})
            elif options.search_time:
                written.append(_search(name, cache, options.budget))
            else:
                duels.append(_duel(name, cache, options))
                written.append(asdict(duels[-1]))
        except OnnxyardError as error:  # hours of the others' must not be lost
            sys.stdout.write(f"{name}: {error}\n")
            written.append({"model": name, "failed": str(error)})
        sys.stdout.flush()
        if options.json:
            options.json.write_text(json.dumps({"machine": describe(), "results": written}, indent=1) + "\n")
    if options.svg and duels:
        chart(duels, options.svg)


def _search(name: str, cache: Path, budget_s: float) -> dict[str, object]:
    found = ship(name, cache, budget_s=budget_s).search()
    candidates = found.result.candidates
    timed = sum(each.p50_ms is not None for each in candidates)
    told = f"{len(candidates)} candidates ({timed} timed) in {found.seconds:.0f} s"
    sys.stdout.write(f"{name}: {told}: {found.chosen.name}\n")
    return {"model": name, "candidates": len(candidates), "timed": timed, "seconds": found.seconds}


def _duel(name: str, cache: Path, options: argparse.Namespace) -> Duel:
    fought = duel(
        name,
        cache,
        Settings.read(home=cache / "home"),
        budget_s=options.budget,
        launches=options.launches,
        rounds=options.rounds,
        names=tuple(each for each in options.against if each != OURS),
    )
    say(fought)
    return fought


if __name__ == "__main__":
    main()
