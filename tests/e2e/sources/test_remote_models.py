"""Models that lie elsewhere go all the way to a live endpoint: a zoo over the network, an MLflow registry."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from live import ONNXYARD, live
from zoo import on_loopback

pytestmark = pytest.mark.slow


def same_answers(one, other):
    assert one.keys() == other.keys()
    for name, values in other.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-4, atol=1e-5)


def test_a_zoo_on_loopback(tmp_path):
    subprocess.run([*ONNXYARD, "init", str(tmp_path / "shelf"), "--template", "zoo"], check=True, capture_output=True)
    with on_loopback(tmp_path / "shelf" / "zoo") as url:

        def over_the_network(root):
            file = root / "onnxyard.toml"
            file.write_text(file.read_text().replace('zoo = "zoo" ', f'zoo = "{url}" '))

        with live("zoo", tmp_path, edit=over_the_network) as endpoint:
            raw = endpoint.rows(20)
            answer = endpoint.ask(raw)
            same_answers(answer, endpoint.by_framework(raw))
            assert (
                np.mean(answer["logits"].argmax(axis=1) == endpoint.project.functions().data().test.targets[:20]) > 0.8
            )
            shown = [*ONNXYARD, "show", "zoo@1", "--home", str(endpoint.root / ".onnxyard")]
            assert "zoo:digits-linear@18" in subprocess.run(shown, check=True, capture_output=True, text=True).stdout


def test_a_model_of_an_mlflow_registry(tmp_path):
    home = tmp_path / "home"
    with live("digits", tmp_path, home=home) as first:
        raw = first.rows(20)
        wanted = first.ask(raw)
    with live("mlflow", tmp_path, home=home) as second:
        assert second.document["stages"]["develop"]["reused"] is False
        same_answers(second.ask(raw), wanted)
        shown = [*ONNXYARD, "show", "mlflow@1", "--home", str(home)]
        assert "models:/digits/1" in subprocess.run(shown, check=True, capture_output=True, text=True).stdout
