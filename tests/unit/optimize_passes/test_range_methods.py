"""Ranges that clip outliers, from histograms that are collected batch by batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.stages.optimize.passes.range_methods import Histogram, entropy_range, percentile_range

finite = st.floats(-1e6, 1e6, width=32)


def histogram(*batches):
    counted = Histogram()
    for batch in batches:
        counted.add(np.asarray(batch, np.float32))
    return counted


@given(st.lists(st.lists(finite, min_size=1), min_size=1))
def test_every_value_is_counted_once_however_the_range_grows(batches):
    counts, edges = histogram(*batches).signed
    values = np.concatenate([np.asarray(batch, np.float32) for batch in batches]).astype(np.float64)
    assert counts.sum() == len(values)
    width = edges[1] - edges[0]
    assert np.cumsum(counts)[len(counts) // 2 - 1] == (values < 0).sum() or np.abs(values[values < 0]).min() < width
    assert edges[0] <= values.min() + width
    assert edges[-1] >= values.max() - width


@given(st.lists(finite, min_size=1))
def test_the_whole_percentile_covers_what_was_seen(values):
    low, high = percentile_range(histogram(values), 100.0)
    slack = 1e-5 * max(map(abs, values))
    assert low - slack <= min(*values, 0.0)
    assert high + slack >= max(*values, 0.0)


def test_percentile_clips_both_ends_to_what_numpy_says():
    values = np.random.default_rng(0).normal(size=100_000)
    low, high = percentile_range(histogram(*np.split(values, 10)), 99.0)
    assert [low, high] == pytest.approx(np.percentile(values, [0.5, 99.5]), abs=0.01)


def test_entropy_clips_rare_outliers_and_leaves_an_even_spread_alone():
    random = np.random.default_rng(0)
    bulk = random.normal(size=100_000)
    outliers = np.full(5, 100.0)
    assert entropy_range(histogram(bulk, outliers))[1] < 20.0
    assert entropy_range(histogram(random.uniform(-1, 1, 100_000)))[1] > 0.95


def test_zeros_behind_a_relu_do_not_decide():
    bulk = np.maximum(np.random.default_rng(0).normal(size=100_000), 0.0)
    assert entropy_range(histogram(bulk))[1] > 2.0


def test_a_tensor_of_zeros_has_a_range():
    assert np.isfinite(entropy_range(histogram([0.0, 0.0]))).all()
    assert np.isfinite(percentile_range(histogram([0.0, 0.0]), 99.0)).all()
