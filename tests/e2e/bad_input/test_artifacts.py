"""A corrupted artifact: a run makes it anew, a replica refuses it."""

from __future__ import annotations

import http.client
import json
import signal
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from e2e.bad_input.refusals import DEADLINE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from integration.flows.conftest import Project


def flip_a_bit_of_the_live_model(project: Project) -> Path:
    """Spoil its one file in the store; its path there."""
    with project.yard.unit_of_work() as work:
        [model] = [a.artifact for a in work.versions.get("blobs", 1).draft.artifacts if a.target == "cpu"]
    sha256 = model.files[0].sha256
    blob = project.settings.artifacts / "blobs" / sha256[:2] / sha256
    spoiled = bytearray(blob.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(spoiled)
    return blob


def quarantined(project: Project, blob: Path) -> bool:
    """Whether the spoiled file was set aside, with a note that says what it was."""
    note = project.settings.artifacts / "quarantine" / f"{blob.name}.1.json"
    return note.exists() and json.loads(note.read_text())["was"].endswith(blob.name)


def test_a_corrupted_artifact_is_set_aside_and_made_anew(project: Project) -> None:
    blob = flip_a_bit_of_the_live_model(project)
    healed = project.run()
    assert healed.code == 0, healed.stderr
    assert healed.document["stages"]["develop"]["reused"]
    stages = healed.document["stages"]
    assert not (stages["export"]["reused"] and stages["optimize"]["reused"])  # the file may be the exported model's too
    assert "corrupt" in healed.stderr
    assert "Traceback" not in healed.stderr
    assert quarantined(project, blob)
    [artifact] = healed.document["artifacts"]
    assert project.yard.store.verify(artifact["digest"])


def ask(url: str, path: str) -> tuple[int, dict]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_replica_that_starts_refuses_a_corrupted_artifact(project: Project) -> None:
    blob = flip_a_bit_of_the_live_model(project)
    home = str(project.settings.home)
    with project.start("serve", "--json", "--port", "0", "--home", home) as replica:
        try:
            url = json.loads(replica.stdout.readline())["url"]
            status, ready = ask(url, "/v2/health/ready")
            assert (status, ready["ready"]) == (503, False)
            assert "is corrupt: model.onnx" in json.dumps(ready)
            assert ask(url, "/v2/models/blobs/ready")[0] != 200
        finally:
            replica.send_signal(signal.SIGTERM)
            _, stderr = replica.communicate(timeout=DEADLINE_SECONDS)
    assert replica.returncode == 0
    assert "is corrupt: model.onnx" in stderr
    assert "Traceback" not in stderr
    assert quarantined(project, blob)
