"""Bad input by the real command: one clear message, the right exit code, and nothing half-written.

Each test starts from a copy of a home with a live version, which must be there, whole and alone, afterwards.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from integration.flows.conftest import FILE, MODULE, Ended, Project, prefect_server  # noqa: F401 - a fixture
from onnxyard.ports.unit_of_work import RunState

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE_SECONDS = 60
OWN_WORDS = "the project's own words\n"
SPLITS = 'Splits(train=Split({"input": x}, sides))'
MODEL = "torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))"


CASES = {
    "train raises": (
        "optimizer.step()",
        "raise RuntimeError('out of luck')",
        "train raised: RuntimeError: out of luck",
        "out of luck",
    ),
    "train returns the wrong type": (
        "return network",
        "return {'weights': 3}",
        "train returned a dict, not a torch.nn.Module.",
        "def train",
    ),
    "NaN": (
        f"return {SPLITS}",
        f"x[5, 1] = np.nan; return {SPLITS}",
        "Input 'input' of the train split holds NaN or infinity in 1 of 800 rows, first in row 5.",
        "def data",
    ),
    "empty split": (
        SPLITS,
        SPLITS[:-1] + ', test=Split({"input": x[:0]}, sides[:0]))',
        "The test split is empty.",
        "def data",
    ),
    "splits of different shapes": (
        SPLITS,
        SPLITS[:-1] + ', test=Split({"input": x[:, :3]}, sides))',
        "The test split looks different from train: input FLOAT[rows, 3] instead of input FLOAT[rows, 4].",
        "def data",
    ),
    "targets of another length": (
        SPLITS,
        SPLITS.replace("sides", "sides[1:]"),
        "Inputs and targets differ in rows: input 800, targets 799.",
        "sides[1:]",
    ),
    "rows that the model does not take": (
        "Linear(4, 8)",
        "Linear(5, 8)",
        "train raised: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        "cross_entropy(network(x)",
    ),
}
"""One change to the code each: before, after, what is said, and what the line says that is named."""


@dataclass(frozen=True)
class Refusal:
    """How a command refused: its JSON, taken apart."""

    detail: str
    where: str
    remedy: str
    context: dict[str, object]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Project:  # noqa: F811 - the fixture
    """A project that was carried to live; tests copy it."""
    folder = tmp_path_factory.mktemp("live") / "blobs"
    folder.mkdir()
    (folder / "blobs.py").write_text(MODULE)
    (folder / "onnxyard.toml").write_text(FILE)
    carried = Project(folder, {"ONNXYARD_PREFECT_API_URL": prefect_server})
    ended = carried.run()
    assert ended.code == 0, ended.stderr
    return carried


@pytest.fixture
def project(live: Project, tmp_path: Path) -> Project:
    return copy(live, tmp_path)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that is bound, so that nobody else takes it, and never listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def copy(live: Project, into: Path) -> Project:
    """The project with its home, free to be broken."""
    folder = into / live.folder.name
    shutil.copytree(live.folder, folder)
    return Project(folder, live.environ)


def change(project: Project, before: str, after: str) -> None:
    """Change the project's code."""
    module = project.folder / "blobs.py"
    text = module.read_text()
    assert text.count(before) == 1
    module.write_text(text.replace(before, after))


def line_of(project: Project, text: str) -> int:
    """Where the project's code says it."""
    lines = (project.folder / "blobs.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def refused(ended: Ended, code: int, kind: str) -> Refusal:
    """The command ended with this error, and said so in one message and one JSON document and nothing else."""
    assert ended.code == code, ended.stdout + ended.stderr
    document = ended.document
    assert list(document) == ["error"]
    error = document["error"]
    assert error["code"] == kind
    assert said(ended) == rendered(error)
    context = error["context"]
    assert context["remedy"]
    return Refusal(error["detail"], context.get("where", ""), context["remedy"], context)


def rendered(error: dict) -> str:
    """The message that stands for an error on stderr."""
    context = error["context"]
    lines = [f"{error['title']}: {error['detail']}"]
    lines += [f"  where: {context['where']}"] if "where" in context else []
    lines += [f"  - {problem}" for problem in context.get("problems", [])]
    lines += [f"  next:  {context['remedy']}"] if "remedy" in context else []
    return "\n".join(lines) + "\n"


def said(ended: Ended) -> str:
    """Stderr without what the project's own code printed."""
    return ended.stderr.replace(OWN_WORDS, "")


def nothing_half_written(project: Project, *, versions: int = 1) -> None:
    """What was live still is, alone and whole; whatever was begun has ended and left no rest."""
    settings, store = project.settings, project.yard.store
    with project.yard.unit_of_work() as work:
        registered = work.versions.of_model("blobs")
        assert {version.number for version in registered} == set(range(1, versions + 1))
        assert [deployment.version for deployment in work.deployments.current("blobs")] == [1]
        assert work.deployments.generation("blobs") == 1
        assert RunState.RUNNING not in {run.state for run in work.runs.of_model("blobs")}
    for manifest in (settings.artifacts / "manifests").glob("*/*"):
        store.verify(manifest.name)
    for version in registered:
        for each in version.draft.artifacts:
            store.verify(each.artifact.digest)
    assert not (settings.workspaces / "blobs").exists()
    assert list((settings.artifacts / "staging").iterdir()) == []
    assert not (settings.artifacts / "quarantine").exists()
    assert list(settings.home.rglob("*.part")) == []
    for kept in (settings.prefect / "results").iterdir():
        json.loads(kept.read_bytes())


def kept_results(project: Project) -> dict[str, int]:
    """The results that stages left, with the time of their last change."""
    return {path.name: path.stat().st_mtime_ns for path in (project.settings.prefect / "results").iterdir()}


def test_no_such_project(project: Project) -> None:
    told = refused(project.command("run", "nowhere", "--json", cwd=project.folder), 4, "not-found")
    assert "nowhere" in told.detail + told.where
    assert "onnxyard init" in told.remedy
    assert not (project.folder / "nowhere").exists()
    nothing_half_written(project)


def test_no_project_anywhere_near(project: Project, tmp_path: Path) -> None:
    refused(project.command("run", str(tmp_path / "nowhere"), "--json"), 4, "not-found")
    assert not (tmp_path / "nowhere").exists()


def test_every_mistake_of_the_project_file_is_told_with_its_line(project: Project) -> None:
    project.edit('name = "blobs"\n', "")  # missing
    project.edit("repeats = 20", 'repeats = "many"')  # of the wrong type
    project.edit("size_bytes", "size_byts")  # misspelt
    told = refused(project.run(), 3, "invalid-project-file")
    lines = (project.folder / "onnxyard.toml").read_text().splitlines()
    section, repeats, size = (
        next(number for number, line in enumerate(lines, 1) if line.startswith(start))
        for start in ("[project]", "repeats", "size_byts")
    )
    [missing, wrong, misspelt] = told.context["problems"]
    assert missing.startswith(f"onnxyard.toml:{section}: [project] name: missing; expected a name")
    assert wrong.startswith(f"onnxyard.toml:{repeats}: [optimize] repeats: expected a whole number")
    assert "got 'many'" in wrong
    assert misspelt == f"onnxyard.toml:{size}: [gates] size_byts: unknown key; did you mean 'size_bytes'?"
    nothing_half_written(project)


@pytest.fixture(scope="module")
def spoiled(live: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Project, Ended]]:
    """What came of each case; two run side by side."""
    projects = {}
    for case, (before, after, _, _) in CASES.items():
        projects[case] = copy(live, tmp_path_factory.mktemp("spoiled"))
        change(projects[case], before, after)
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(projects, zip(projects.values(), pool.map(Project.run, projects.values()), strict=True), strict=True)
        )


@pytest.mark.parametrize("case", CASES)
def test_code_and_data_that_cannot_be_used_are_told_with_their_line(
    spoiled: dict[str, tuple[Project, Ended]], case: str
) -> None:
    project, ended = spoiled[case]
    _, _, detail, at = CASES[case]
    told = refused(ended, 3, "project-code-failed")
    assert told.detail.startswith(detail)
    assert told.where.partition(" ")[0] == f"blobs.py:{line_of(project, at)}"
    nothing_half_written(project)


def test_a_model_that_cannot_be_exported_names_operator_and_module(project: Project) -> None:
    airy = "class Airy(torch.nn.Module):\n    def forward(self, x):\n        "
    airy += "return torch.special.airy_ai(x.detach()) + x\n\n\n"
    change(project, "def model(config):", f"{airy}def model(config):")
    change(project, MODEL, MODEL.replace("torch.nn.ReLU()", "torch.nn.Sequential(torch.nn.Linear(8, 8), Airy())"))
    told = refused(project.run(), 7, "unsupported-model")
    assert "airy_ai" in told.context["operator"]
    assert told.context["module"] == "1.1"
    assert told.detail.startswith(f"The operator {told.context['operator']} ")
    assert "in the module '1.1' (blobs.Airy)" in told.detail
    assert told.where == f"blobs.py:{line_of(project, 'airy_ai')}"
    nothing_half_written(project)


def test_a_database_that_does_not_answer(project: Project, closed_port: int) -> None:
    before = kept_results(project)
    url = f"postgresql://me:secret@127.0.0.1:{closed_port}/yard"
    told = refused(project.run(ONNXYARD_DATABASE_URL=url), 75, "unreachable")
    assert told.detail.startswith("The registry's database does not answer: ")
    assert told.where == url.replace("secret", "***")
    assert "ONNXYARD_DATABASE_URL" in told.remedy
    assert kept_results(project) == before
    nothing_half_written(project)


def test_an_mlflow_that_does_not_answer_is_told_before_any_stage_starts(project: Project, closed_port: int) -> None:
    change(project, "lr=0.05", "lr=0.04")  # develop would have to run
    before = kept_results(project)
    url = f"http://127.0.0.1:{closed_port}"
    ended = project.run(ONNXYARD_MLFLOW_TRACKING_URI=url)
    told = refused(ended, 75, "unreachable")
    assert told.detail.startswith("MLflow does not answer: ")
    assert told.where == url
    assert "ONNXYARD_MLFLOW_TRACKING_URI" in told.remedy
    assert OWN_WORDS not in ended.stderr
    assert kept_results(project) == before
    nothing_half_written(project)


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
    assert not healed.document["stages"]["optimize"]["reused"]
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


def test_a_port_in_use(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:  # which says nothing
        port = holder.getsockname()[1]
        home = str(project.settings.home)
        told = refused(project.command("serve", "--json", "--port", str(port), "--home", home), 5, "conflict")
    assert told.detail == f"Port {port} of 127.0.0.1 is in use."
    assert "--port" in told.remedy
    assert not project.settings.replicas.exists()
    nothing_half_written(project)


def run_with_files_up_to(project: Project, size: int) -> Ended:
    """`onnxyard run DIR --json` on a disk on which no file can grow beyond `size` bytes."""
    process = project.start("run", str(project.folder), "--json")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))  # Python is still starting
    stdout, stderr = process.communicate(timeout=180)
    return Ended(process.returncode, stdout, stderr)


@pytest.fixture
def large(project: Project) -> Project:
    """The project with a model larger than every database under its home."""
    change(project, MODEL, MODEL.replace("(8, 2)", "(8, 40000), torch.nn.Linear(40000, 2)"))
    project.edit("epochs = 40", "epochs = 2")
    project.edit("size_bytes = 100000", "size_bytes = 100000000\nmax_error = 1.0")  # sums of 40,000 terms
    project.edit("accuracy = 0.9", "accuracy = 0.4")
    return project


def test_a_full_disk_and_what_comes_after(large: Project) -> None:
    databases = max(file.stat().st_size for file in large.settings.home.glob("*.sqlite"))
    for size in (databases - (1 << 16), databases + (1 << 18)):  # MLflow's database; the weights
        told = refused(run_with_files_up_to(large, size), 75, "storage-full")
        assert told.where
        assert "space" in told.remedy
        nothing_half_written(large)
    done = large.run()
    assert done.code == 0, done.stderr
    assert (done.document["version"], done.document["generation"]) == (2, 2)


@pytest.mark.parametrize("size", [1 << 16, 1 << 18], ids=["registry", "mlflow"])
def test_a_full_disk_at_the_very_first_run(project: Project, size: int) -> None:
    shutil.rmtree(project.settings.home)
    refused(run_with_files_up_to(project, size), 75, "storage-full")


def test_two_runs_of_one_project_at_once(project: Project) -> None:
    first = project.start("run", str(project.folder), "--json")
    try:
        stop_once_it_holds_the_lock(first, project)
        told = refused(project.run(), 5, "conflict")
        assert told.context["pid"] == first.pid
        assert told.detail.startswith(f"A run of blobs is under way: process {first.pid} on ")
    finally:
        os.kill(first.pid, signal.SIGCONT)
        stdout, stderr = first.communicate(timeout=DEADLINE_SECONDS)
    assert first.returncode == 0, stderr
    assert json.loads(stdout)["version"] == 1
    nothing_half_written(project)


def stop_once_it_holds_the_lock(process: subprocess.Popen[str], project: Project) -> None:
    lock, pause = project.settings.home / "locks" / "blobs.lock", threading.Event()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if f'"pid": {process.pid},' in lock.read_text():
            os.kill(process.pid, signal.SIGSTOP)
            return
        pause.wait(0.002)
    raise AssertionError(process.communicate())


@pytest.mark.parametrize(
    ("edit", "name", "outcome", "told"),
    [
        (("size_bytes = 100000", "size_bytes = 10"), "size@cpu", "failed", "against 10"),
        (("accuracy = 0.9", "accuracy = 0.999"), "quality:accuracy@cpu", "underpowered", "give more test rows"),
    ],
    ids=["failed", "underpowered"],
)
def test_a_gate_that_does_not_pass_keeps_the_version_as_rejected_and_deploys_nothing(
    project: Project, edit: tuple[str, str], name: str, outcome: str, told: str
) -> None:
    project.edit(*edit)
    ended = project.run()
    assert ended.code == 6, ended.stderr
    document = ended.document
    assert (document["version"], document["status"], document["generation"]) == (2, "rejected", 1)
    error = document["error"]
    assert said(ended) == rendered(error)
    assert error["detail"] == "blobs@2 is rejected: 1 of 4 gates did not pass."
    [gate] = error["context"]["gates"]
    assert (gate["name"], gate["outcome"]) == (name, outcome)
    [problem] = error["context"]["problems"]
    assert problem.startswith(f"{name}: ")
    assert told in problem
    assert error["context"]["remedy"].startswith("Nothing was deployed.")
    nothing_half_written(project, versions=2)
