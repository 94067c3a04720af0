import fcntl
import json
import socket
import subprocess

import pytest
from typer.testing import CliRunner

from onnxyard.cli.exits import exit_code
from onnxyard.cli.main import build
from onnxyard.errors import ConflictError, InvalidRequestError, NotFoundError, StorageFullError, UnreachableError
from onnxyard.toolchains import catalogue
from onnxyard.toolchains.environment import State
from onnxyard.toolchains.installing import install, remove
from planted_toolchain import environment, plant, wheel


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The package index of these tests: a folder."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def version_in(wanted) -> str:
    code = "import tinytool; print(tinytool.VERSION)"
    return subprocess.run([str(wanted.python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def left(home) -> list[str]:
    return sorted(path.name for path in (home / "toolchains").iterdir() if not path.name.endswith(".lock"))


def silent(_line: str) -> None:
    pass


def test_install_again_and_upgrade(tmp_path, shelf):
    home = tmp_path / "home"
    wheel(shelf, "1.0")
    wheel(shelf, "2.0")
    said: list[str] = []
    first = environment(home, versions={"tinytool": "1.0"}, imports=("tinytool",))
    assert install(first, said.append)
    assert first.state is State.INSTALLED
    assert version_in(first) == "1.0"
    assert "fetching 1 of 1: tinytool-1.0-py3-none-any" in said
    assert left(home) == ["tiny"]
    assert {path.name for path in (first.folder / "bin").iterdir() if not path.name.startswith("python")} == set()
    inode = first.folder.stat().st_ino
    assert not install(first, silent)
    assert first.folder.stat().st_ino == inode

    second = environment(home, versions={"tinytool": "2.0"}, imports=("tinytool",))
    assert second.state is State.OUTDATED
    assert install(second, silent)
    assert version_in(second) == "2.0"
    assert left(home) == ["tiny"]


def test_mend_and_remove(tmp_path):
    wanted = environment(tmp_path)
    assert install(wanted, silent)
    wanted.python.unlink()
    assert wanted.state is State.BROKEN
    assert install(wanted, silent)
    assert wanted.state is State.INSTALLED
    remove(wanted)
    assert left(tmp_path) == []
    with pytest.raises(NotFoundError):
        remove(wanted)


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        ("raise RuntimeError('no such processor')", InvalidRequestError, "no such processor"),
        ("raise OSError(28, 'No space left on device')", StorageFullError, "No space"),
    ],
    ids=["does-not-work", "disk-full"],
)
def test_what_does_not_work_leaves_nothing_and_an_older_one_stays(tmp_path, body, error, told):
    home = tmp_path / "home"
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "tinytool.py").write_text(body)
    code = f"import sys; sys.path.insert(0, {str(planted)!r}); import tinytool"
    broken = environment(home, imports=(f"os; exec({code!r})",), versions={})
    with pytest.raises(error, match=told) as caught:
        install(broken, silent)
    assert left(home) == []
    assert told in (home / "logs" / "toolchain-tiny-install.log").read_text()
    assert caught.value.where == str(home / "logs" / "toolchain-tiny-install.log")

    older = plant(environment(home, versions={"tinytool": "0.1"}))
    with pytest.raises(error):
        install(broken, silent)
    assert left(home) == ["tiny"]
    assert older.state is State.INSTALLED


def test_an_index_that_is_away_is_one_clear_error(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"}.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        install(environment(tmp_path, versions={"tinytool": "1.0"}), silent)
    assert exit_code(caught.value) == 75
    assert "toolchain-tiny-install.log" in caught.value.where
    assert left(tmp_path) == []


@pytest.mark.usefixtures("shelf")
def test_a_version_that_no_index_has_is_no_network_trouble(tmp_path):
    with pytest.raises(InvalidRequestError, match=r"tinytool==9\.9"):
        install(environment(tmp_path, versions={"tinytool": "9.9"}), silent)
    assert left(tmp_path) == []


def test_a_version_that_is_not_pinned_is_missed(tmp_path, shelf):
    """Nothing but the pinned versions is installed; what is needed besides shows."""
    wheel(shelf, "1.0", requires="another-tool>=1")
    with pytest.raises(InvalidRequestError, match="another-tool"):
        install(environment(tmp_path, versions={"tinytool": "1.0"}), silent)


def test_the_time_is_limited(tmp_path):
    slow = environment(tmp_path, imports=("time; time.sleep(600)",))
    with pytest.raises(UnreachableError, match="did not end in its time"):
        install(slow, silent, limit_s=2.0)
    assert left(tmp_path) == []


def test_two_at_once_are_one(tmp_path):
    wanted = environment(tmp_path)
    wanted.settings.toolchains.mkdir(parents=True)
    with (wanted.settings.toolchains / ".tiny.lock").open("a+") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        for change in (lambda: install(wanted, silent), lambda: remove(wanted)):
            with pytest.raises(ConflictError, match="process 4711"):
                change()
    assert install(wanted, silent)


def test_an_interrupted_installation_leaves_nothing_that_counts(tmp_path):
    wanted = environment(tmp_path)
    draft = wanted.settings.toolchains / ".tiny.draft"
    (draft / "bin").mkdir(parents=True)
    (draft / "bin" / "half").touch()
    assert wanted.state is State.ABSENT
    assert install(wanted, silent)
    assert left(tmp_path) == ["tiny"]


def test_the_commands(tmp_path, monkeypatch):
    home = ["--home", str(tmp_path)]
    wanted = environment(tmp_path, shown=("tinytool",), versions={})
    shown = {"tinytool": "1.0"}
    monkeypatch.setattr(
        catalogue, "catalogue", lambda: {"tiny": environment(tmp_path, shown=("tinytool",), versions=shown).toolchain}
    )
    plant(environment(tmp_path, versions=shown))

    def run(*arguments: str):
        return CliRunner().invoke(build(), ["toolchain", *arguments, *home])

    told = json.loads(run("list", "--json").stdout)["toolchains"]
    assert [(each["name"], each["state"], each["packages"]) for each in told] == [("tiny", "installed", shown)]
    assert told[0]["path"] == str(wanted.folder)
    assert told[0]["size_bytes"] == wanted.size_bytes()
    table = run("list").stdout
    assert "installed" in table
    assert "tinytool 1.0" in table
    assert json.loads(run("install", "tiny", "--json").stdout)["installed_now"] is False
    assert json.loads(run("remove", "tiny", "--json").stdout)["state"] == "absent"
    assert isinstance(run("remove", "tiny").exception, NotFoundError)
    assert isinstance(run("install", "cobol").exception, NotFoundError)
