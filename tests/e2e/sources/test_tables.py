"""Estimators and boosters go all the way to a live endpoint, which answers what their own predict says."""

import httpx
import numpy as np
import pytest

from live import DATATYPES, live
from onnxyard.tensors.dtypes import onnx_name

pytestmark = pytest.mark.slow


def post(endpoint, inputs):
    """One V2 request, written by hand: what any client in any language sends."""
    url = f"{endpoint.url}/v2/models/{endpoint.document['endpoint']}/infer"
    response = httpx.post(url, json={"inputs": inputs}, timeout=30).raise_for_status()
    return {each["name"]: each["data"] for each in response.json()["outputs"]}


@pytest.mark.parametrize("template", ["sklearn", "xgboost", "lightgbm"])
def test_held_out_raw_rows(tmp_path, template):
    with live(template, tmp_path) as endpoint:
        raw = endpoint.rows(150)
        answer, wanted = endpoint.ask(raw), endpoint.by_framework(raw)
        assert answer.keys() == wanted.keys()
        for name, values in wanted.items():
            np.testing.assert_allclose(answer[name], values, rtol=1e-4, atol=1e-5)
        if template == "sklearn":
            missing = int(np.flatnonzero((raw["job"] == "") & np.isnan(raw["balance"]))[0])
            rows = []
            for name, values in raw.items():
                data = [None] if name in {"job", "balance"} else values[missing : missing + 1].tolist()
                rows.append({"name": name, "datatype": DATATYPES[onnx_name(values.dtype)], "shape": [1], "data": data})
            given = post(endpoint, rows)
            assert given["label"] == [wanted["label"][missing]]
            np.testing.assert_allclose(given["probabilities"], wanted["probabilities"][missing], rtol=1e-4)
