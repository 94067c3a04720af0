"""The doctor and a project: what its training saw, and remedies in its file that a new export proves."""

from __future__ import annotations

import tomllib

import pytest
from small_project import MODULE, Way, write_project
from tracing import spots

from onnxyard.diagnosis.doctor import Examination, Subject, examine
from onnxyard.diagnosis.doctor.repair import repair
from onnxyard.diagnosis.gravity import exit_code

SEQUENCES = """
import numpy as np
import torch
from torch import nn

from onnxyard.project.data import Split, Splits


def rows(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    values = random.normal(size=(count, 6, 2)) + labels[:, None, None]
    return Split({"x": values.astype(np.float32)}, labels)


def data(config):
    return Splits(train=rows(200, 1), calibration=rows(64, 2), validation=rows(150, 3), test=rows(400, 4))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(2, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0].mean(dim=1))


def model(config):
    return Network()


def metrics(targets, outputs):
    return {"accuracy": float(np.mean(outputs["logits"].argmax(axis=1) == targets))}
"""
SEQUENCE_FILE = """
[project]
name = "sequences"  # three kinds of them
module = "small.py"
outputs = ["logits"]

[export]
opset = 18  # what the edge box loads

[gates.quality]
accuracy = 0.0
"""


def subject(way, project=None):
    made = way.workspace / "develop"
    return Subject.of_project(
        project or way.project, fitted=made / "fitted", golden_set=made / "golden_set", processing=way.processing
    )


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    root = tmp_path_factory.mktemp("sequences")
    return Way(write_project(root / "project", module=SEQUENCES, file=SEQUENCE_FILE), root / "work").develop()


@pytest.fixture(scope="module")
def examined(sequences):
    return examine(subject(sequences))


def test_a_sound_project_is_clean_and_told_what_stays_python(developed):
    found = examine(subject(developed)).findings
    assert exit_code(found) == 0
    assert [finding.code for finding in found] == ["processing-outside"]


def test_training_on_other_values_than_clients_send_is_named_with_its_line(tmp_path):
    assert 'inputs["features"])' in MODULE
    module = MODULE.replace('inputs["features"])', 'inputs["features"] / 50)')
    way = Way(write_project(tmp_path / "project", module=module), tmp_path / "work").develop()
    line = next(at for at, text in enumerate(module.splitlines(), 1) if "network(features)" in text)
    found = examine(subject(way)).findings
    assert spots(found, "processing-skew") == [("", f"small.py:{line}")]
    assert exit_code(found) == 1


def test_an_axis_is_named_in_the_file_and_proven(sequences, examined):
    assert [(finding.code, finding.fix) for finding in examined.findings] == [("undeclared-axis", "name-axes")]
    before = subject(sequences)
    repairs, after = repair(
        sequences.project, before.asked, examined, lambda project: examine(subject(sequences, project))
    )
    assert [(one.finding.code, one.kept) for one in repairs] == [("undeclared-axis", True)]
    assert after.findings == ()
    text = (sequences.project.root / "onnxyard.toml").read_text()
    assert "# three kinds of them" in text
    assert "# what the edge box loads" in text
    assert tomllib.loads(text)["project"]["axes"] == {"x": ["batch", "length", 2]}


def test_a_remedy_that_does_not_hold_changes_nothing(sequences, examined):
    file = sequences.project.root / "onnxyard.toml"
    before = file.read_bytes()
    repairs, after = repair(
        sequences.project, subject(sequences).asked, examined, lambda _: Examination(examined.findings, None)
    )
    assert [one.kept for one in repairs] == [False]
    assert "no export passes" in repairs[0].told
    assert after is examined
    assert file.read_bytes() == before


def test_inputs_that_preprocess_no_longer_gives(developed, tmp_path):
    """The golden set holds what preprocess gave when the model was developed."""
    root = tmp_path / "processing"
    root.mkdir()
    text = (developed.processing / "processing.py").read_text()
    (root / "processing.py").write_text(text.replace("/ 10", "/ 11"))
    made = developed.workspace / "develop"
    changed = Subject.of_project(
        developed.project, fitted=made / "fitted", golden_set=made / "golden_set", processing=root
    )
    assert "processing-skew" in {finding.code for finding in examine(changed).findings}
