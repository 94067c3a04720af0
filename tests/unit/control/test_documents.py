"""What the API says of a candidate is JSON whatever was measured."""

import json
import math

from onnxyard.lifecycle.candidate import Ratio
from onnxyard.testing import sample_candidate, sample_candidates, sample_latency
from onnxyard_control.documents import CandidateDocument


def test_numbers_that_json_lacks_are_null():
    ratio = Ratio(0.5, math.nan, math.inf)
    latency = sample_latency(0.1, baseline_ms=0.2, high_ms=math.inf, ratio=ratio)
    odd = sample_candidate(latencies=(latency,), ratio=ratio, drop_high=math.nan)
    told = CandidateDocument.of(odd).model_dump(mode="json")
    json.dumps(told, allow_nan=False)
    assert told["ratio"] == {"value": 0.5, "low": None, "high": None, "tie": False}
    assert (told["latencies"][0]["high_ms"], told["drop_high"]) == (None, None)


def test_every_outcome_has_its_document():
    told = [CandidateDocument.of(candidate) for candidate in sample_candidates()]
    assert {each.outcome for each in told} == {"measured", "stopped", "refused", "failed"}
    assert [each.artifact is None for each in told] == [c.artifact is None for c in sample_candidates()]
