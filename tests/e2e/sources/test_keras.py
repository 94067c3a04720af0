"""Keras models and SavedModels, in the real toolchain: to a live endpoint, and at every edge of the way there.

Installing it takes 40 s and 1.6 GB; it is gone after the last test.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from isolated_project import Carried, installed, project
from live import live
from onnxyard.bootstrap import Yard
from onnxyard.cli.workbench import bench
from onnxyard.errors import UnsupportedModelError, UserCodeError
from onnxyard.settings import Settings
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

MODELS = """
import keras, tensorflow as tf
from keras import layers
import training
keras.utils.set_random_seed(1)

x = keras.Input((6,), name="x")
plain = keras.Model(x, layers.Dense(3, name="out")(layers.Dense(8, activation="gelu", name="hidden")(x)))
plain.save("plain.keras")
plain.export("saved", format="tf_saved_model", verbose=False)

class Twice(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": 2 * x, "z": tf.reduce_sum(x, axis=1)}
twice = Twice()
tf.saved_model.save(twice, "twice", signatures=twice.__call__)

ids = keras.Input((4,), dtype="int32", name="ids")
h = layers.Concatenate()([layers.Flatten()(layers.Embedding(10, 3)(ids)), layers.LayerNormalization()(x)])
keras.Model([x, ids], {"y": layers.Dense(2)(h), "z": layers.Dense(1)(h)}).save("several.keras")

keras.Model(x, layers.Lambda(lambda v: v * 2, name="doubling")(x)).save("doubling.keras")
keras.Model(x, training.Scaled(3.0, name="scaled")(x)).save("custom.keras")
keras.Model(x, layers.Activation("sigmoid")(training.Special(name="special")(x))).save("special.keras")
"""
TRAINING = """
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable()
class Scaled(keras.layers.Layer):
    def __init__(self, factor, **more):
        super().__init__(**more)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

@keras.saving.register_keras_serializable()
class Special(keras.layers.Layer):
    def call(self, x):
        return tf.math.lgamma(x + 5.0) + tf.math.digamma(x + 5.0)

def train(splits, config, report):
    raise AssertionError("not with a checkpoint")
"""
X = "{'x': random.random((64, 6), dtype=np.float32)}"
TWO = "{'x': random.random((64, 6), dtype=np.float32), 'ids': random.integers(0, 10, (64, 4)).astype(np.int32)}"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    with installed(tmp_path_factory.mktemp("keras") / "home", "tensorflow") as place:
        yield place


@pytest.fixture(scope="module")
def models(home) -> Path:
    """Checkpoints that somebody else made."""
    folder = home.parent / "models"
    folder.mkdir()
    (folder / "training.py").write_text(TRAINING)
    (folder / "make.py").write_text(MODELS)
    environment = Environment(known("tensorflow"), Settings.read(home=home))
    subprocess.run(
        [str(environment.python), "make.py"],
        cwd=folder,
        check=True,
        capture_output=True,
        env=environment.surroundings(),
    )
    return folder


def carried(tmp_path, home, models, checkpoint: str, *, inputs: str = X, outputs: list[str], **more) -> Carried:
    made = project(
        tmp_path,
        home,
        "keras",
        inputs=inputs,
        outputs=outputs,
        develop=f'checkpoint = "{checkpoint}"',
        **more,
    )
    (made.root / checkpoint).symlink_to(models / checkpoint)
    return made


def test_the_template_is_live_and_answers_as_keras_does(tmp_path, home):
    with live("keras", tmp_path, home=home) as endpoint:
        raw = endpoint.rows(50)
        answer, wanted = endpoint.ask(raw), endpoint.by_framework(raw)
        assert answer.keys() == wanted.keys()
        np.testing.assert_array_equal(answer["label"], wanted["label"])
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
        assert np.mean(answer["label"] == endpoint.project.functions().data().test.targets[:50]) > 0.9
        with bench(Yard(Settings.read(home=home)), endpoint.project) as on:
            assert len(on.developed.history) == 20
            assert set(on.developed.history[-1].metrics) >= {"loss", "accuracy", "val_accuracy"}
            assert on.developed.framework.startswith("keras 3.15.1")
    assert not list((home / "workspaces").glob("tensorflow-*"))


@pytest.mark.parametrize(
    ("checkpoint", "outputs"),
    [
        ("plain.keras", ["out"]),
        ("saved", ["logits"]),
        ("twice", ["z", "y"]),
        ("several.keras", ["z", "y"]),
        ("custom.keras", ["scaled"]),
    ],
)
def test_a_checkpoint_is_taken_and_exported_with_parity(tmp_path, home, models, checkpoint, outputs):
    inputs = TWO if checkpoint == "several.keras" else X
    made = carried(tmp_path, home, models, checkpoint, inputs=inputs, outputs=outputs, training=TRAINING)
    developed = made.develop()
    exported = made.export(developed)
    assert exported.max_error < 1e-5
    assert exported.opset == 17
    assert [value.name for value in made.model.graph.output] == outputs
    assert {spec.shape[0] for spec in exported.signature.inputs} == {"batch"}


def test_every_opset_is_the_one_that_was_asked_for(tmp_path, home, models):
    made = carried(tmp_path, home, models, "plain.keras", outputs=["out"])
    developed = made.develop()
    for opset in (9, 18, 27):
        exported = made.export(developed, opset)
        assert exported.opset == opset
        assert exported.max_error < 1e-5
        assert ("Converted from opset 18" in str(exported.remedies)) == (opset > 18)
    sidecar = json.loads((made.work / "exported" / "sidecar" / "sidecar.json").read_text())
    assert {node["module"] for node in sidecar["nodes"]} >= {"hidden", "out"}
    with pytest.raises(UnsupportedModelError, match="tf2onnx does not give opset 8") as caught:
        made.export(developed, 8)
    assert "9 to 18" in caught.value.remedy
    assert "Erf does not exist in opset 8" in str(caught.value.facts["attempts"])


def test_the_same_project_gives_the_same_bytes(tmp_path, home, models):
    digests = []
    for name in ("one", "two"):
        made = carried(tmp_path / name, home, models, "several.keras", inputs=TWO, outputs=["y", "z"])
        developed = made.develop()
        digests.append((developed.fitted.digest, developed.golden_set.digest, made.export(developed).model.digest))
    assert digests[0] == digests[1]


def test_a_lambda_is_refused_by_its_layers_name(tmp_path, home, models):
    with pytest.raises(UserCodeError, match="'doubling' is a Lambda"):
        carried(tmp_path, home, models, "doubling.keras", outputs=["y"]).develop()


def test_a_class_that_is_not_known_is_told_how_to_become_so(tmp_path, home, models):
    with pytest.raises(UserCodeError) as caught:
        carried(tmp_path, home, models, "custom.keras", outputs=["y"]).develop()
    assert "register_keras_serializable" in caught.value.remedy


def test_a_file_that_is_no_model_is_refused(tmp_path, home, models):
    (models / "broken.keras").write_bytes((models / "plain.keras").read_bytes()[:2000])
    with pytest.raises(UserCodeError, match="cannot be read"):
        carried(tmp_path, home, models, "broken.keras", outputs=["y"]).develop()


def test_every_operator_without_a_translation_is_named_with_its_layer(tmp_path, home, models):
    made = carried(tmp_path, home, models, "special.keras", outputs=["y"], training=TRAINING)
    developed = made.develop()
    with pytest.raises(UnsupportedModelError) as caught:
        made.export(developed)
    assert caught.value.facts["operators"] == ["Digamma", "Lgamma"]
    assert "(layer 'special')" in caught.value.detail
