"""Estimators and boosters go all the way to a live endpoint, which answers what their own predict says."""

import json
import urllib.request

import numpy as np
import pytest

from live import live

pytestmark = pytest.mark.slow


def post(endpoint, inputs):
    """One V2 request, written by hand: what any client in any language sends."""
    url = f"{endpoint.url}/v2/models/{endpoint.document['endpoint']}/infer"
    request = urllib.request.Request(url, json.dumps({"inputs": inputs}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return {each["name"]: each["data"] for each in json.load(response)["outputs"]}


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
            datatypes = {"O": "BYTES", "i": "INT64", "f": "FP32"}
            rows = [
                {"name": name, "datatype": datatypes[values.dtype.kind], "shape": [1], "data": [values[missing].item()]
                 if values.dtype.kind != "O" else [values[missing]]}
                for name, values in raw.items()
            ]  # fmt: skip
            for row in rows:
                if row["name"] in {"job", "balance"}:
                    row["data"] = [None]
            given = post(endpoint, rows)
            assert given["label"] == [wanted["label"][missing]]
            np.testing.assert_allclose(given["probabilities"], wanted["probabilities"][missing], rtol=1e-4)
