"""The search's report: all of it is there, and nothing that a name holds is more than text."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.lifecycle.candidate import Ratio
from onnxyard.lifecycle.wording import drop, interval, milliseconds, score, share, size
from onnxyard.stages.optimize.report.labels import Box, Point, placed
from onnxyard.stages.optimize.report.marks import front_of, marks_of
from onnxyard.stages.optimize.report.report import write_report
from onnxyard.stages.optimize.report.scales import LogScale
from onnxyard.testing import sample_candidate, sample_candidates, sample_latency

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</style><script>window.hacked=1</script>\"' onload=x & \x1b[31m\0 \ud800"


@pytest.fixture
def written(tmp_path):
    """Write a report; its HTML, SVG and CSV."""

    def write(candidates, model="digits"):
        goals = {"minimize": "p50", "metric": "accuracy", "max_drop": 0.01, "confidence": 0.95}
        artifact = write_report(tmp_path / "report", candidates, model=model, **goals)
        assert [file.path for file in artifact.files] == ["candidates.csv", "candidates.svg", "report.html"]
        return [
            (tmp_path / "report" / name).read_text() for name in ("report.html", "candidates.svg", "candidates.csv")
        ]

    return write


def parsed(svg):
    """The picture; one that is not well-formed fails here, as no browser would show it."""
    return ET.fromstring(svg)  # noqa: S314 - written a moment ago


def test_every_candidate_is_in_it_with_what_became_of_it(written):
    html, _, sheet = written(sample_candidates())
    rows = list(csv.DictReader(io.StringIO(sheet)))
    assert [row["name"] for row in rows] == [candidate.name for candidate in sample_candidates()]
    assert {row["outcome"] for row in rows} == {"measured", "stopped", "refused", "failed"}
    for candidate in sample_candidates():
        assert html.count(f">{candidate.name}</td>") == 1
    for fact in ("0 of 3 nodes can be quantized", "&lt;Conv&gt; with 'auto_pad' &amp; group=2", "18 of 21 nodes"):
        assert fact in html
    assert rows[2]["p50_ms batch 8"] == "0.306"
    assert rows[-1]["p50_ms batch 8"] == ""


def test_the_choice_and_its_reason_come_first_for_each_target(written):
    html, _, _ = written((*sample_candidates("cpu"), *sample_candidates("edge")))
    sentences = re.findall(r'<p class="choice">(.*?)</p>', html)
    assert len(sentences) == 2
    assert sentences[0].startswith("fp32 · openvino precision=bf16 has 0.392")
    assert html.index("Target cpu") < html.index('class="choice"') < html.index("Target edge")


def test_the_picture_shows_front_choice_ties_and_intervals(written):
    _, svg, _ = written(sample_candidates())
    picture = parsed(svg)
    kinds = [each.get("class") for each in picture.iter() if each.tag in {f"{SVG}circle", f"{SVG}path", f"{SVG}line"}]
    assert kinds.count("front") == 1
    assert kinds.count("ring") == 2  # of the chosen one and of the legend
    assert sum("bubble" in kind and "tie" in kind and "key" not in kind for kind in kinds if kind) == 1
    assert sum(kind.startswith("whisker run") for kind in kinds if kind) == 8  # two for each of four
    labels = {each.text for each in picture.iter(f"{SVG}text") if (each.get("class") or "").startswith("label")}
    assert {"fp32", "fp32 precision=bf16", "int8-qdq"} <= labels


def test_an_emulated_runtime_shows_no_speed(written):
    html, svg, sheet = written(sample_candidates())
    row = next(row for row in csv.DictReader(io.StringIO(sheet)) if "QNN" in row["name"])
    assert (row["p50_ms batch 1"], row["ratio"], row["quality"]) == ("", "", "0.969")
    assert "QNN" not in svg
    assert "its speed means nothing: int8-qdq · onnxruntime QNNExecutionProvider" in html


def test_it_fetches_nothing_and_runs_nothing(written):
    html, svg, _ = written(sample_candidates())
    assert "default-src 'none'" in html
    assert "<script" not in html + svg
    assert not re.search(r"(src|href)=|url\(|@import", html + svg)


def test_whatever_a_name_holds_stays_text(written):
    odd = tuple(
        replace(c, name=f"{c.name}{EVIL}", note=EVIL, recipe=EVIL, target=f"t{EVIL}") for c in sample_candidates()
    )
    html, svg, sheet = written(odd, model=EVIL)
    assert "<script" not in html + svg
    assert html.count("</style>") == 1
    parsed(svg)
    assert len(list(csv.DictReader(io.StringIO(sheet)))) == len(odd)


def test_a_spreadsheet_takes_no_text_for_a_formula(written):
    _, _, sheet = written((sample_candidate(note="=HYPERLINK(1)"),))
    assert next(csv.DictReader(io.StringIO(sheet)))["note"] == "'=HYPERLINK(1)"


def test_the_same_candidates_give_the_same_bytes(written):
    assert written(sample_candidates()) == written(sample_candidates())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_dashes(written, value):
    latency = sample_latency(0.1, baseline_ms=0.1, low_ms=value, high_ms=value, cpu_ms=value)
    odd = sample_candidate("odd", latencies=(latency,), ratio=Ratio(0.5, math.nan, value), drop_high=value)
    html, svg, _ = written((sample_candidate(), odd, sample_candidate("worse", quality=value)))
    assert not re.search(r"\b(nan|inf)\b", html + svg)


def test_a_search_that_timed_nothing_still_has_a_report(written):
    html, svg, _ = written((sample_candidate("fp32", None),))
    assert "None of the candidates was chosen" in html
    parsed(svg)


def test_the_front_is_drawn_of_what_no_other_beats():
    front = front_of(marks_of(sample_candidates()))
    assert [mark.candidate.name for mark in front] == ["fp32 · openvino precision=bf16", "fp32"]


@given(
    st.lists(st.tuples(st.floats(60, 900), st.floats(20, 380), st.integers(1, 30)), min_size=1, max_size=40),
)
def test_labels_cover_neither_each_other_nor_a_point(spots):
    points = [Point(x, y, 5.0, "x" * length) for x, y, length in spots]
    area = Box(50, 0, 960, 400)
    labels = placed(points, area)
    for number, label in enumerate(labels):
        assert label.box.within(area)
        assert all(label.box.overlap(other.box) == 0 for other in labels[:number])
        assert all(label.box.overlap(Box(p.x - 5, p.y - 5, p.x + 5, p.y + 5)) == 0 for p in points)


def test_a_label_that_is_needed_stands_even_where_there_is_no_room():
    crowd = [Point(100 + 4 * number, 100, 12.0, "a long name", needed=number == 0) for number in range(60)]
    assert [label.point for label in placed(crowd, Box(90, 88, 340, 112))] == [crowd[0]]


@given(st.floats(1e-4, 1e5), st.floats(1.5, 1e6), st.integers(3, 9))
def test_ticks_lie_on_the_axis_and_are_few(low, ratio, most):
    scale = LogScale(low, low * ratio, 0, 1)
    ticks = scale.ticks(most)
    assert 2 <= len(ticks) <= max(most, 5) + 1
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in ticks)
    assert ticks == sorted(set(ticks))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (milliseconds(0.051), "0.0510"),
        (milliseconds(123.4), "123"),
        (milliseconds(1234.5), "1,234"),
        (milliseconds(math.nan), "–"),  # noqa: RUF001 - the dash it shows
        (share(0.3923), "0.392"),
        (share(0.0123), "0.0123"),
        (share(11.04), "11"),
        (drop(-0.002), "0"),
        (drop(0.0041), "0.0041"),
        (score(0.98061), "0.9806"),
        (size(999), "999 B"),
        (size(999_900), "1 MB"),
        (size(39_120), "39.1 kB"),
        (size(None), "–"),  # noqa: RUF001 - likewise
        (interval("1.00", "1.00"), ""),
        (interval("0.37", "0.41"), "[0.37–0.41]"),  # noqa: RUF001 - likewise
    ],
)
def test_figures(said, wanted):
    assert said == wanted
