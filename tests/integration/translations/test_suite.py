"""The benchmark's suite keeps its promises: a few of its modules at once, all of them when there is time."""

from __future__ import annotations

import pytest

from benchmarks.export.case import Outcome
from benchmarks.export.measuring import Attempted, ours
from benchmarks.export.report import Row, counts
from benchmarks.export.suite import suite

CASES = {one.name: one for one in suite()}
SOME = (
    "resize/bilinear-aligned-antialias-odd",
    "attention/encoder-exported-at-batch-1",
    "attention/three-axes",
    "control/branch-on-data",
    "custom/nms",
    "custom/without-one",
    "linear-algebra/eigenvectors",
    "recurrent/lstm-with-projection",
)


def test_the_suite_is_large_enough_and_no_name_comes_twice():
    assert len(CASES) == len(suite()) >= 70
    assert {one.outcome for one in CASES.values()} == set(Outcome)


@pytest.mark.parametrize("name", SOME)
def test_a_module_comes_out_as_it_must(name):
    _as_it_must(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in SOME])
def test_every_module_comes_out_as_it_must(name):
    _as_it_must(name)


def test_the_figures_count_what_differs():
    case = CASES["resize/nearest-odd"]
    good, wrong = _attempted(matches=True), _attempted(matches=False)
    figures = counts([Row(case, wrong, good), Row(case, good, good), Row(case, good, wrong)])
    assert (figures["match, plain"], figures["match, ours"]) == (2, 2)
    assert (figures["silently wrong, plain"], figures["silently wrong, ours"]) == (1, 1)
    assert figures["checks / bare export, totals"] == pytest.approx(1.0)


def _attempted(*, matches):
    error = 0.0 if matches else 1.0
    return Attempted(exported=True, matches=matches, error=error, seconds=1.0, way="torch.onnx dynamo")


def _as_it_must(name):
    case = CASES[name]
    got = ours(case)
    assert Row(case, got, got).as_it_must, got
