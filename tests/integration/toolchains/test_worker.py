import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from onnxyard.errors import UnsupportedModelError, UserCodeError
from onnxyard.toolchains import worker as workers
from onnxyard.toolchains.environment import surroundings
from onnxyard.toolchains.worker import Ask, Worker

PROGRAM = Path(__file__).with_name("programs.py")


def start(home: Path, program: Path = PROGRAM) -> Worker:
    return Worker(Path(sys.executable), program, name="tiny", home=home, environ=surroundings({}))


@pytest.fixture
def worker(tmp_path):
    with start(tmp_path) as running:
        yield running


def ask(do: str, *, limit_s: float | None = 20.0, **given) -> Ask:
    return Ask(do, given, limit_s, UnsupportedModelError)


def logs(home: Path) -> list[Path]:
    return list((home / "logs").iterdir())


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def waited_for(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


def test_it_stays_for_many_requests_and_tells_how_it_goes(tmp_path, worker):
    news = []
    first = worker.ask(ask("echo", times=3, text="ü"), news.append)
    assert first["given"] == {"times": 3, "text": "ü"}
    assert [each["step"] for each in news] == [0, 1, 2]
    assert worker.ask(ask("echo"))["pid"] == first["pid"] != os.getpid()
    worker.close()
    assert gone(first["pid"])
    assert logs(tmp_path) == []
    assert list((tmp_path / "workspaces").iterdir()) == []


def test_many_threads_may_ask(worker):
    answers: list[int] = []

    def one(number: int) -> None:
        answers.append(worker.ask(ask("echo", number=number))["given"]["number"] - number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0] * 16


def test_what_is_printed_is_no_answer(worker):
    assert worker.ask(ask("prints")) == {"given": "honest"}


def test_an_error_of_the_domain_arrives_as_itself_and_the_worker_stays(worker):
    with pytest.raises(UserCodeError) as caught:
        worker.ask(ask("refuses"))
    error = caught.value
    assert (error.detail, error.where, error.remedy) == ("The rows are wrong.", "training.py:7 in train", "Mend them.")
    assert error.facts == {"rows": 3}
    assert worker.ask(ask("echo"))["pid"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (ask("raises"), "RuntimeError: a defect"),
        (ask("crashes"), "killed by SIGSEGV"),
        (ask("leaves"), "ended with code 0 and no answer"),
        (ask("is_killed"), "killed by SIGKILL"),
        (ask("hangs", limit_s=0.5), "no answer in 0.5 s"),
        (ask("babbles", bytes="not json\n"), "no JSON"),
        (ask("babbles", bytes="[1, 2]\n"), "no answer"),
        (ask("no_such_command"), "KeyError"),
    ],
    ids=["defect", "crash", "exit-0", "killed", "hang", "garbage", "json-but-nonsense", "unknown"],
)
def test_whatever_happens_there_is_one_clear_error(tmp_path, worker, asked, told):
    with pytest.raises(UnsupportedModelError, match=told) as caught:
        worker.ask(asked)
    assert caught.value.where == str(logs(tmp_path)[0])
    with pytest.raises(UnsupportedModelError, match="ended already"):
        worker.ask(ask("echo"))
    worker.close()
    assert len(logs(tmp_path)) == 1
    assert list((tmp_path / "workspaces").iterdir()) == []


def test_the_last_words_are_in_the_error_and_the_rest_in_the_log(tmp_path, worker):
    with pytest.raises(UnsupportedModelError, match="about to crash"):
        worker.ask(ask("crashes"))
    assert "about to crash" in logs(tmp_path)[0].read_text()


def test_an_answer_without_an_end_is_cut_off(worker, monkeypatch):
    monkeypatch.setattr(workers, "LONGEST_LINE", 1 << 10)
    with pytest.raises(UnsupportedModelError, match="has no end"):
        worker.ask(ask("babbles", bytes="x" * 4096))


@pytest.mark.parametrize("then", ["live", "die"])
def test_a_flood_on_stderr_blocks_nobody(tmp_path, worker, then):
    asked = ask("floods", megabytes=32, then=then)
    if then == "live":
        assert worker.ask(asked) == {}
        return
    with pytest.raises(UnsupportedModelError, match="the last words"):
        worker.ask(asked)
    assert logs(tmp_path)[0].stat().st_size <= 8 << 20


def test_what_it_started_ends_with_it(worker):
    news: list[dict[str, int]] = []
    with pytest.raises(UnsupportedModelError):
        worker.ask(ask("hangs", limit_s=1.0), news.append)
    assert waited_for(lambda: gone(news[0]["child"]))


def test_an_interrupted_request_ends_it(worker):
    def interrupt(_news) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.ask(ask("hangs"), interrupt)
    with pytest.raises(UnsupportedModelError, match="ended already"):
        worker.ask(ask("echo"))


def test_nobody_needs_to_close_it(tmp_path):
    running = start(tmp_path)
    pid = running.ask(ask("echo"))["pid"]
    del running
    gc.collect()
    assert gone(pid)


@pytest.mark.parametrize("end", ["return", "os.kill(os.getpid(), 9)"], ids=["ends", "is-killed"])
def test_it_does_not_outlive_its_parent(tmp_path, end):
    code = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_worker import ask, start
def main():
    running = start(Path({str(tmp_path)!r}))
    print(running.ask(ask("echo"))["pid"], flush=True)
    {end}
main()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    pid = int(done.stdout)
    assert waited_for(lambda: gone(pid)), done.stderr


def test_a_program_that_cannot_start_says_why(tmp_path):
    (tmp_path / "program.py").write_text("import nothing_of_this_name\n")
    with (
        start(tmp_path, tmp_path / "program.py") as running,
        pytest.raises(UnsupportedModelError, match="No module named 'nothing_of_this_name'"),
    ):
        running.ask(ask("echo"))
