"""Numbers and moments as the page shows them, and the geometry of the drift strip."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.lifecycle.drift import ColumnDrift, DriftVerdict
from onnxyard.lifecycle.window import Window
from onnxyard_dashboard.sparkline import HEIGHT, sparkline
from onnxyard_dashboard.wording import age, breakable, number, size

NOW = datetime(2026, 11, 23, 14, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "", "–"),  # noqa: RUF001 - the dash the page shows
        (0.98061, "", "0.9806"),
        (3.1e-6, "", "3.1e-06"),
        (5_000_000, "", "5,000,000"),
        (39_120, "bytes", "39.1 kB"),
        (20.0, "ms", "20 ms"),
        (float("nan"), "", "nan"),
    ],
)
def test_numbers(value, unit, said):
    assert number(value, unit) == said


@pytest.mark.parametrize(("value", "said"), [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (4_200_000, "4.2 MB")])
def test_sizes(value, said):
    assert size(value) == said


@pytest.mark.parametrize(
    ("passed", "said"), [(-5, "0 s ago"), (59, "59 s ago"), (180, "3 min ago"), (7_200, "2 h ago"), (2e5, "2 days ago")]
)
def test_ages(passed, said):
    assert age(NOW - timedelta(seconds=passed), NOW) == said


@given(st.text())
def test_a_breakable_name_is_the_name_and_nothing_else(name):
    assert breakable(name).replace("<wbr>", "") == str(breakable(name).__class__.escape(name))


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_every_window_is_a_bar_within_the_strip(effects):
    windows = tuple(
        Window(
            endpoint="e",
            model="m",
            version=1,
            first_sequence=index,
            last_sequence=index,
            started_at=NOW,
            ended_at=NOW,
            rows=500,
            verdict=DriftVerdict.NO_DRIFT,
            columns=(ColumnDrift("x", "ks", 0.5, 0.5, effect, drifted=False),),
            report=None,
            detail="",
            created_at=NOW,
        )
        for index, effect in enumerate(effects)
    )
    line = sparkline(windows)
    assert [bar.window.first_sequence for bar in line.bars] == list(range(len(effects)))[::-1]
    assert all(0 <= bar.y <= HEIGHT and bar.x + line.bar <= line.width for bar in line.bars)
