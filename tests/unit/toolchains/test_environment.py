import pytest

from onnxyard.cli.exits import exit_code
from onnxyard.errors import MissingExtraError
from onnxyard.toolchains.environment import RECORD, Environment, State
from planted_toolchain import environment, plant


def test_the_states(tmp_path):
    wanted = environment(tmp_path, versions={"tinytool": "1.0"})
    assert wanted.state is State.ABSENT
    plant(wanted)
    assert wanted.state is State.INSTALLED
    assert wanted.size_bytes() > 0
    newer = environment(tmp_path, versions={"tinytool": "2.0"})
    assert newer.state is State.OUTDATED
    wanted.python.unlink()
    assert wanted.state is State.BROKEN
    (wanted.folder / RECORD).write_text("{")
    assert wanted.state is State.BROKEN


@pytest.mark.parametrize("state", ["absent", "outdated", "broken"])
def test_what_is_missing_is_told_with_the_command_that_mends_it(tmp_path, state):
    wanted = environment(tmp_path)
    if state != "absent":
        plant(wanted)
    if state == "outdated":
        wanted = environment(tmp_path, versions={"tinytool": "2.0"})
    if state == "broken":
        wanted.python.unlink()
    with pytest.raises(MissingExtraError) as caught:
        wanted.require()
    assert exit_code(caught.value) == 3
    assert f"onnxyard toolchain install tiny --home {tmp_path}" in caught.value.remedy
    assert caught.value.facts["toolchain"] == "tiny"


def test_its_processes_see_nothing_of_ours(tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "ONNXYARD_DATABASE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("HTTPS_PROXY", "theirs")
    wanted: Environment = environment(tmp_path, variables={"PLACE": "{folder}/x"})
    seen = wanted.surroundings()
    assert "ours" not in seen.values()
    assert seen["HTTPS_PROXY"] == "theirs"
    assert seen["PLACE"] == f"{tmp_path}/toolchains/tiny/x"
