"""The text template's own pieces: what its answers lean on."""

import importlib
import sys
from importlib.resources import files
from pathlib import Path

import pytest

TEMPLATE = Path(str(files("onnxyard"))) / "templates" / "text"


@pytest.fixture
def vocabulary(monkeypatch):
    monkeypatch.syspath_prepend(str(TEMPLATE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("vocabulary")
    for name in ("vocabulary", "tickets"):
        sys.modules.pop(name, None)


def test_the_vocabulary_is_what_its_script_learns_from_the_training_texts(vocabulary):
    texts, _ = vocabulary.tickets(vocabulary.TRAIN_ROWS, vocabulary.TRAIN_SEED)
    learnt = vocabulary.vocabulary(texts, vocabulary.SIZE)
    assert (TEMPLATE / "vocabulary.txt").read_text(encoding="utf-8").splitlines() == learnt
    assert len(set(learnt)) == len(learnt) == vocabulary.SIZE


def test_tickets_are_the_same_again_and_differ_by_seed(vocabulary):
    assert vocabulary.tickets(50, 3) == vocabulary.tickets(50, 3)
    assert vocabulary.tickets(50, 3) != vocabulary.tickets(50, 4)
