"""Templates of tables go through the stages, twice to the same digests."""

import pytest
from small_project import Way

from onnxyard.cli.init import write_project
from onnxyard.profile.reference import read_reference
from onnxyard.project.project import load_project
from onnxyard.stages.validate.stage import run as validate


@pytest.mark.parametrize("template", ["xgboost", "lightgbm"])
def test_a_booster(tmp_path, template):
    write_project(tmp_path / template, template)
    project = load_project(tmp_path / template)
    ways = [Way(project, tmp_path / name).develop().export() for name in ("one", "two")]
    one, two = ((way.developed.fitted, way.developed.golden_set, way.exported.model) for way in ways)
    assert [artifact.digest for artifact in one] == [artifact.digest for artifact in two]
    assert ways[0].exported.opset == 15
    assert ways[0].exported.remedies == ()
    assert ways[0].developed.signature.inputs[0].missing
    result = validate(ways[0].optimize().validate_request(), ways[0].folder("validate"))
    assert {gate.name for gate in result.gates if gate.outcome != "passed"} == set()
    reference = read_reference(tmp_path / "one" / "validate" / "reference")
    names = [name for name in reference.columns if name.endswith(".missing")]
    assert names
    assert ("missing" in reference.columns[names[0]].tolist()) == (template == "xgboost")
