"""Results as text and back, and which folders of a workspace they name."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from onnxyard.lifecycle.candidate import Ratio
from onnxyard.lifecycle.handover import OptimizeResult
from onnxyard.stages.kept import artifacts, dump, load
from onnxyard.testing import sample_candidate, sample_latency, sample_result


def test_a_search_is_the_same_again():
    result = sample_result()
    assert load(OptimizeResult, dump(result)) == result


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_survive(odd):
    latency = sample_latency(0.1, baseline_ms=0.2, high_ms=odd, ratio=Ratio(0.5, 0.4, odd))
    candidate = sample_candidate(latencies=(latency,), drop_high=odd, quality=None)
    result = replace(sample_result(), candidates=(candidate,))
    [read] = load(OptimizeResult, dump(result)).candidates
    for found in (read.latencies[0].high_ms, read.latencies[0].ratio.high, read.drop_high):
        assert found == pytest.approx(odd, nan_ok=True)
    assert read.quality is None


def test_every_candidates_files_are_kept_and_each_digest_once():
    result = sample_result()
    found = artifacts(result)
    digests = [artifact.digest for artifact in found.values()]
    assert len(set(digests)) == len(digests)
    assert set(digests) == {c.artifact.digest for c in result.candidates if c.artifact} | {result.report.digest}
    assert found["model-cpu"] == result.models[0].model
    assert found["report"] == result.report
    small = next(c.artifact for c in result.candidates if c.recipe == "int8-qdq")
    assert found[f"candidate-{small.digest[:16]}"] == small


def test_one_model_for_two_targets_is_one_artifact():
    result = sample_result()
    twice = replace(result, models=(*result.models, replace(result.models[0], target="edge")))
    assert artifacts(twice).keys() == artifacts(result).keys()
