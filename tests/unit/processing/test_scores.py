import numpy as np
import pytest

from onnxyard.errors import UnsupportedModelError, UserCodeError
from pieces import before, behind, step

LOGITS = np.random.default_rng(0).normal(0, 5, (6, 4)).astype(np.float32)


@pytest.mark.parametrize("opset", [13, 20, 27])
def test_logits_become_probabilities_indices_and_names(opset):
    steps = [
        step("softmax", input="logits", output="probabilities"),
        step("argmax", input="probabilities", output="label", keep=True),
        step("labels", input="label", names=["a", "b", "c", "ü"]),
    ]
    got = behind(steps, {"logits": LOGITS}, opset=opset)
    shifted = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    assert list(got) == ["probabilities", "label"]
    np.testing.assert_allclose(got["probabilities"], shifted / shifted.sum(axis=1, keepdims=True), atol=1e-6)
    assert got["label"].tolist() == ["abcü"[at] for at in LOGITS.argmax(axis=1)]


def test_no_class_has_an_empty_name():
    got = behind([step("labels", input="classes", names=["a", "b"])], {"classes": np.array([[0, 1, -1]])})
    assert got["classes"].tolist() == [["a", "b", ""]]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (step("softmax", input="label"), "not scores"),
        (step("argmax", input="label"), "not scores"),
        (step("labels", input="logits", names=["a"]), "not the index"),
    ],
)
def test_a_step_that_does_not_fit_is_named(wrong, says):
    with pytest.raises(UserCodeError, match=says) as caught:
        behind([wrong], {"logits": LOGITS, "label": np.zeros(6, np.int64)})
    assert "[[postprocess]] step 1" in caught.value.where


def test_an_opset_before_all_steps_is_refused():
    with pytest.raises(UnsupportedModelError, match="need opset 13 or newer, not 12"):
        before([step("normalize", input="x")], {"x": LOGITS}, opset=12)
