"""JAX functions with their parameters, in the real toolchain: to a live endpoint, and at every edge of the way there.

Installing it takes 50 s and 1.0 GB; it is gone after the last test.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from isolated_project import installed, project
from live import live
from onnxyard.errors import UnsupportedModelError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

X = "{'x': random.random((64, 6), dtype=np.float32)}"
TWO = "{'x': random.random((64, 6), dtype=np.float32), 'ids': random.integers(0, 10, (64, 4)).astype(np.int32)}"
DENSE = """
import jax
import jax.numpy as jnp
import numpy as np

def model(config):
    def apply(params, x):
        hidden = jnp.tanh(x @ params["first"][0] + params["first"][1])
        return jax.nn.softmax(hidden @ params["second"])
    return apply

def train(splits, config, report):
    random = np.random.default_rng(config["seed"])
    return {"first": (random.normal(size=(6, 8)).astype(np.float32), jnp.ones(8)), "second": jnp.ones((8, 3)) / 3}
"""
SEVERAL = """
import jax
import jax.numpy as jnp
from flax import nnx

class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(10, 3, rngs=rngs)
        self.norm = nnx.LayerNorm(18, rngs=rngs)
        self.out = nnx.Linear(18, 2, rngs=rngs)

    def __call__(self, x, ids):
        tokens = self.embed(ids)
        joined = self.norm(jnp.concatenate([tokens.reshape(tokens.shape[0], 12), x], axis=1))
        return {"y": self.out(joined), "z": joined.max(axis=1)}

def model(config):
    graph, initial = nnx.split(Net(nnx.Rngs(0)))
    def apply(params, x, ids):
        state = jax.tree.map(lambda leaf: leaf, initial)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state)(x, ids)
    return apply

def train(splits, config, report):
    return nnx.to_pure_dict(nnx.state(Net(nnx.Rngs(config["seed"]))))
"""
UNKNOWN = """
import jax
import jax.numpy as jnp

def model(config):
    def apply(params, x):
        first = jax.lax.reduce_window(x, jnp.inf, jax.lax.min, (1, 2), (1, 1), "SAME")
        second = jax.pure_callback(lambda v: v, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
        return params["w"] * first + second
    return apply

def train(splits, config, report):
    return {"w": jnp.ones(6)}
"""

POOLED = """
import jax
import jax.numpy as jnp
from flax import nnx

def model(config):
    def apply(params, x):
        first = nnx.max_pool(x, WINDOW, strides=(2, 2))
        second = jax.lax.reduce_window(first, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        return second.reshape(second.shape[0], 16) @ params["w"]
    return apply

def train(splits, config, report):
    return {"w": jnp.arange(48.0).reshape(16, 3)}
"""
IMAGES = "{'x': random.random((64, 8, 8, 4), dtype=np.float32)}"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    with installed(tmp_path_factory.mktemp("jax") / "home", "jax") as place:
        yield place


def test_the_template_is_live_and_answers_as_jax_does(tmp_path, home):
    with live("jax", tmp_path, home=home) as endpoint:
        raw = endpoint.rows(50)
        answer, wanted = endpoint.ask(raw), endpoint.by_framework(raw)
        assert answer.keys() == wanted.keys()
        np.testing.assert_array_equal(answer["diagnosis"], wanted["diagnosis"])
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
        assert np.mean(answer["diagnosis"] == endpoint.project.functions().data().test.targets[:50]) > 0.9
    assert not list((home / "workspaces").glob("jax-*"))


def test_every_opset_is_the_one_that_was_asked_for(tmp_path, home):
    made = project(tmp_path, home, "jax", inputs=X, outputs=["y"], training=DENSE)
    developed = made.develop()
    assert developed.framework == "jax 0.10.2"
    for opset in (7, 13, 27):
        exported = made.export(developed, opset)
        assert exported.opset == opset
        assert exported.max_error < 1e-5
    sidecar = json.loads((made.work / "exported" / "sidecar" / "sidecar.json").read_text())
    assert {node["source"] for node in sidecar["nodes"]} >= {"training.py:8", "training.py:9"}
    assert str(made.root) not in str(made.model)


def test_several_inputs_and_outputs_of_a_flax_module(tmp_path, home):
    made = project(tmp_path, home, "jax", inputs=TWO, outputs=["z", "y"], training=SEVERAL)
    exported = made.export(made.develop(), 20)
    assert exported.max_error < 1e-4
    assert [value.name for value in made.model.graph.output] == ["z", "y"]
    assert {spec.shape[0] for spec in exported.signature.inputs} == {"batch"}


def test_an_operator_that_the_opset_does_not_have_yet_is_named(tmp_path, home):
    """Drawing the initial weights inside the graph."""
    training = SEVERAL.replace(
        "state = jax.tree.map(lambda leaf: leaf, initial)", "state = nnx.state(Net(nnx.Rngs(0)))"
    )
    made = project(tmp_path, home, "jax", inputs=TWO, outputs=["z", "y"], training=training)
    developed = made.develop()
    with pytest.raises(UnsupportedModelError, match="writes BitCast, which opset 20 does not have") as caught:
        made.export(developed, 20)
    assert "opset 26" in caught.value.remedy


def test_max_pooling_of_images_runs(tmp_path, home):
    """jax2onnx writes reduce_window so that ONNX Runtime cannot run it."""
    training = POOLED.replace("WINDOW", "window_shape=(2, 2)")
    made = project(tmp_path, home, "jax", inputs=IMAGES, outputs=["y"], training=training)
    exported = made.export(made.develop(), 20)
    assert exported.max_error < 1e-4
    assert [remedy for remedy in exported.remedies if "Max pooling" in remedy]
    sidecar = json.loads((made.work / "exported" / "sidecar" / "sidecar.json").read_text())
    pools = [node["source"] for node in sidecar["nodes"] if node["op"] == "MaxPool"]
    assert pools == ["training.py:8", "training.py:9"]


def test_a_window_that_jax2onnx_takes_by_name_only_is_told(tmp_path, home):
    training = POOLED.replace("WINDOW", "(2, 2)")
    made = project(tmp_path, home, "jax", inputs=IMAGES, outputs=["y"], training=training)
    developed = made.develop()
    with pytest.raises(UnsupportedModelError, match="jax2onnx cannot convert the model: TypeError") as caught:
        made.export(developed)
    assert caught.value.where == "training.py:8"
    assert "by name" in caught.value.remedy


def test_the_same_project_gives_the_same_bytes(tmp_path, home):
    digests = []
    for name in ("one", "two"):
        made = project(tmp_path / name, home, "jax", inputs=X, outputs=["y"], training=DENSE)
        developed = made.develop()
        digests.append((developed.fitted.digest, developed.golden_set.digest, made.export(developed).model.digest))
    assert digests[0] == digests[1]


def test_every_primitive_without_a_translation_is_named_with_its_line(tmp_path, home):
    made = project(tmp_path, home, "jax", inputs=X, outputs=["y"], training=UNKNOWN)
    developed = made.develop()
    with pytest.raises(UnsupportedModelError) as caught:
        made.export(developed)
    assert caught.value.facts["operators"] == ["pure_callback", "reduce_window_min"]
    assert "training.py:7" in caught.value.detail
    assert "training.py:8" in caught.value.detail


def test_parameters_that_need_pickle_are_refused(tmp_path, home):
    training = DENSE.replace('"second": jnp.ones((8, 3)) / 3}', '"second": config.get}')
    with pytest.raises(UserCodeError, match="at /second, which cannot be stored without pickle"):
        project(tmp_path, home, "jax", inputs=X, outputs=["y"], training=training).develop()
