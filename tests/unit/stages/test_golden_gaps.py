"""The golden set of rows with gaps: extremes are those of what is known, and the row with most gaps is among them."""

import numpy as np

from onnxyard.project.data import Split
from onnxyard.stages.develop.golden import choose_rows


def test_gaps_hide_no_extreme_and_are_shown_themselves():
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 3)).astype(np.float32)
    values[random.random(300) < 0.2, 0] = np.nan
    values[17, 1], values[41, 2] = 90.0, -90.0
    words = np.array(["a"] * 300, dtype=object)
    values[123], words[123] = np.nan, ""
    rows = choose_rows(Split({"x": values, "w": words}, np.zeros(300)), 12, seed=0)
    assert {17, 41, 123} <= set(rows.tolist())


def test_an_empty_text_alone_is_shown():
    words = np.array(["a"] * 50, dtype=object)
    words[33] = ""
    assert 33 in choose_rows(Split({"w": words}, np.zeros(50)), 2, seed=0)
