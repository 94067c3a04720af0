"""Functions of complex numbers, written with what torch's exporter knows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxyard.sources.torch.decompositions import COMPLEX, MOVING, further_decompositions
from onnxyard.sources.torch.dynamo import quiet

FUNCTIONS = {
    str(operator): function
    for operator, function in COMPLEX.items()
    if str(operator) not in {"aten.pow.Tensor_Scalar", "aten.bmm.default"}
}
NUMBERS = st.complex_numbers(max_magnitude=20, min_magnitude=1e-3, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=8), name=st.sampled_from(sorted(FUNCTIONS)))
def test_a_complex_function_is_torchs_own(numbers, name):
    z = torch.tensor(numbers, dtype=torch.complex128)
    operator = next(one for one in COMPLEX if str(one) == name)
    torch.testing.assert_close(FUNCTIONS[name](z), operator(z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("exponent", [1, 2, 3.0, 8, 9, 0.5, -1.5, 0.3])
def test_powers(exponent):
    z = torch.view_as_complex(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double())
    pow_ = torch.ops.aten.pow.Tensor_Scalar
    torch.testing.assert_close(COMPLEX[pow_](z, exponent), pow_(z, exponent))


def test_tanh_of_large_numbers_does_not_overflow():
    z = torch.tensor([1e3 + 1j, -1e3 - 2j, 500j], dtype=torch.complex64)
    assert torch.isfinite(torch.view_as_real(COMPLEX[torch.ops.aten.tanh.default](z))).all()


def test_real_numbers_are_left_to_torch():
    table = further_decompositions()
    assert table[torch.ops.aten.exp.default](torch.ones(2)) is NotImplemented
    assert set(COMPLEX) | set(MOVING) <= set(table)


def test_a_program_of_complex_numbers_loses_what_the_exporter_does_not_know():
    class Complex(torch.nn.Module):
        def forward(self, x):
            z = torch.view_as_complex(x)
            return torch.view_as_real(torch.einsum("bi,bj->bij", z.exp(), z.sqrt() ** 3))

    x = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0))
    with quiet():
        program = torch.export.export(Complex(), (x,)).run_decompositions(further_decompositions())
        answered = program.module()(x)
    left = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not left & {"aten.einsum.default", "aten.pow.Tensor_Scalar"}  # the square roots left are real ones
    torch.testing.assert_close(answered, Complex()(x))
