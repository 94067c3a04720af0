import numpy as np
import pytest

from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.runtimes.outputs import check_outputs

SIGNATURE = Signature(
    (TensorSpec("x", "FLOAT", ("batch", 4)),),
    (TensorSpec("y", "FLOAT", ("batch", 3)), TensorSpec("z", "FLOAT", ("n",))),
)


def outputs(*shape: int) -> dict[str, np.ndarray]:
    return {"y": np.zeros(shape), "z": np.zeros(9)}


def test_axes_of_the_inputs_names_have_the_inputs_lengths():
    check_outputs(SIGNATURE, {"x": np.zeros((2, 4))}, outputs(2, 3))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (2,), (2, 3, 1)])
def test_rows_short_or_too_many_are_told(shape):
    with pytest.raises(UnsupportedModelError, match=r"x \[2, 4\] the model gives 'y' the shape .* instead of \[2, 3\]"):
        check_outputs(SIGNATURE, {"x": np.zeros((2, 4))}, outputs(*shape))
