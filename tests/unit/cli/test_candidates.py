"""Candidates in the terminal and as JSON."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from onnxyard.cli.candidates import LIMIT, candidate_document, candidates_page, candidates_table, foremost
from onnxyard.lifecycle.candidate import Ratio
from onnxyard.testing import sample_candidate, sample_candidates, sample_latency


def printed(page, width=120):
    told = io.StringIO()
    Console(width=width, file=told).print(page)
    return told.getvalue()


DOCUMENTS = [candidate_document(candidate) for candidate in sample_candidates()]


def test_the_table_shows_intervals_ties_and_the_chosen_one_first():
    lines = printed(candidates_table(DOCUMENTS)).splitlines()
    assert lines[0].split() == ["candidate", "quality", "drop", "≤", "p50", "ms", "ratio", "size", "memory"]
    assert lines[1].startswith("fp32 · openvino")
    assert lines[1].split()[-7:-5] == ["0.0510", "0.392"]
    assert lines[2].split() == ["[0.0479–0.0546]", "[0.377–0.412]"]  # noqa: RUF001 - the dash it shows
    assert lines[1].rstrip().endswith("chosen")
    [tie] = [line for line in lines if line.startswith("onnxslim")]
    assert tie.rstrip().endswith("tie")
    [baseline] = [line for line in lines if line.startswith("fp32 ") and "openvino" not in line]
    assert "tie" not in baseline  # it is none with itself


@pytest.mark.parametrize("width", [80, 100, 160])
def test_what_became_of_each_is_told_at_every_width(width):
    words = " ".join(printed(candidates_page(DOCUMENTS), width).split())
    for fact in ("it changed nothing: 0 of 3", "ValueError: <Conv>", "stopped", "refused", "failed"):
        assert fact in words
    assert "…" not in words
    assert {"[0.0479–0.0546]", "[0.377–0.412]"} <= set(words.split())  # noqa: RUF001 - the dash it shows


def test_names_and_notes_are_no_markup():
    odd = sample_candidate(name="[bold]x[/]", note="[red]y[/nothing]")
    assert "[bold]x[/]" in printed(candidates_page([candidate_document(odd)]))


def test_several_targets_are_told_apart():
    both = [*DOCUMENTS, *(candidate_document(candidate) for candidate in sample_candidates("edge"))]
    assert "target" in printed(candidates_table(both)).splitlines()[0]


def test_a_summary_shows_the_foremost_and_counts_the_others():
    many = [sample_candidate(f"recipe-{number}", 0.2 + number) for number in range(LIMIT + 3)]
    shown, others = foremost([*DOCUMENTS, *map(candidate_document, many)])
    assert len(shown) == LIMIT
    assert shown[0]["chosen"]
    assert others == "11 more: 8 measured, 1 stopped, 1 refused, 1 failed"
    assert foremost([candidate_document(sample_candidate())])[1] == ""


def test_a_document_is_json_whatever_was_measured():
    ratio = Ratio(0.5, math.nan, math.inf)
    latency = sample_latency(0.1, baseline_ms=0.2, high_ms=math.inf, ratio=ratio)
    document = candidate_document(replace(sample_candidate(latencies=(latency,)), ratio=ratio, drop_high=math.nan))
    json.dumps(document, allow_nan=False)
    assert document["ratio"] == {"value": 0.5, "low": None, "high": None, "tie": False}
    assert "0.500" in printed(candidates_table([document]))
    endless = candidate_document(sample_candidate(ratio=Ratio(1.0, 0.9, math.inf)))
    assert "tie" in printed(candidates_table([endless]))
