"""The catalogue: found by listing its folder, told in words, and turned into a table for the exporter."""

from __future__ import annotations

import sys

import pytest
import torch

from onnxyard.errors import UserCodeError
from onnxyard.sources.torch import translations
from onnxyard.sources.torch.catalogue import applied, catalogue, listing, translation_table

ONE_MORE = """
from onnxyard.sources.torch.catalogue import Translation
from onnxyard.sources.torch.writing import op

TRANSLATION = Translation({"aten::sinc": op.Identity}, form="not a sinc", max_error=1e9, source="a test")
"""


def test_what_the_issue_names_is_there():
    operators = {name for one in catalogue() for name in one.operators}
    assert {
        "aten::_upsample_bilinear2d_aa",
        "aten::scaled_dot_product_attention",
        "aten::cumprod",
        "aten::searchsorted.Tensor",
    } <= operators


def test_every_record_says_what_it_is():
    for one in catalogue():
        assert one.functions, one
        assert one.form, one
        assert one.source, one
        assert 0 <= one.max_error <= 1e-4, one
        assert one.opset >= 18


def test_no_operator_has_two_entries():
    operators = [name for one in catalogue() for name in one.operators]
    assert len(operators) == len(set(operators))


def test_dropping_in_a_file_is_all_it_takes(tmp_path, monkeypatch):
    (tmp_path / "one_more.py").write_text(ONE_MORE)
    monkeypatch.setattr(translations, "__path__", [*translations.__path__, str(tmp_path)])
    catalogue.cache_clear()
    try:
        assert [one.form for one in catalogue() if "aten::sinc" in one.operators] == ["not a sinc"]
        assert torch.ops.aten.sinc.default in translation_table({}, opset=18, entries=catalogue())
    finally:
        catalogue.cache_clear()
        sys.modules.pop(f"{translations.__name__}.one_more", None)


def test_the_projects_own_function_wins():
    def mine(values, dim):
        raise NotImplementedError

    table = translation_table({"aten::cumprod": mine}, opset=20, entries=catalogue())
    assert table[torch.ops.aten.cumprod.default] is mine


@pytest.mark.parametrize("name", ["nolibrary::nothing", "aten::cumprod.nothing", "cumprod", ""])
def test_an_operator_that_torch_does_not_know_is_named(name):
    with pytest.raises(UserCodeError, match=f"no operator {name}"):
        translation_table({name: print}, opset=20)


def test_the_listing_and_what_was_applied_name_the_error():
    told = listing(catalogue())
    assert "aten::cumprod" in told
    assert "maximal error   2e-06, relative" in told
    assert "answers wrongly" in told
    (sentence,) = applied(catalogue(), {"aten::cumprod", "aten::add.Tensor"})
    assert sentence.startswith("aten::cumprod: translated by the catalogue as a prefix scan of Mul")
