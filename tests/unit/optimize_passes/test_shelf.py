"""What passes made is kept whole, found again, and made once however many ask for it."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onnxyard.stages.optimize.shelf import Shelf


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf")


def keep(shelf, key="key", text="model"):
    with shelf.scratch() as scratch, shelf.alone(key):
        made = scratch / "made"
        (made / "inner").mkdir(parents=True)
        (made / "model.onnx").write_text(text)
        (made / "inner" / "weights").write_text("weights")
        return shelf.keep(key, made)


def find(shelf, key="key"):
    with shelf.alone(key):
        return shelf.find(key)


def test_what_is_kept_is_found_by_its_key_alone(shelf):
    assert find(shelf) is None
    content = keep(shelf)
    assert find(shelf) == content
    assert (content / "model.onnx").read_text() == "model"
    assert (content / "inner" / "weights").read_text() == "weights"
    assert find(shelf, "other") is None


def shorten(content):
    (content / "model.onnx").write_text("mod")


def lose(content):
    (content / "inner" / "weights").unlink()


def add(content):
    (content / "stray").write_text("")


def forget(content):
    (content.parent / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [shorten, lose, add, forget])
def test_what_is_damaged_is_thrown_away_and_can_be_made_again(shelf, damage):
    damage(keep(shelf))
    assert find(shelf) is None
    assert not (shelf.folder / "key").exists()
    assert find(shelf) is None
    assert (keep(shelf, text="again") / "model.onnx").read_text() == "again"
    assert find(shelf) is not None


def test_of_many_who_ask_at_once_one_makes_it(shelf):
    made = []
    start = threading.Barrier(8)

    def ask():
        start.wait()
        with shelf.scratch() as scratch, shelf.alone("key"):
            content = shelf.find("key")
            if content is None:
                made.append(scratch)
                (scratch / "made").mkdir()
                (scratch / "made" / "model.onnx").write_text("model")
                content = shelf.keep("key", scratch / "made")
        return (content / "model.onnx").read_text()

    with ThreadPoolExecutor(8) as pool:
        assert [future.result() for future in [pool.submit(ask) for _ in range(8)]] == ["model"] * 8
    assert len(made) == 1
    assert [path.name for path in shelf.folder.iterdir() if path.name.startswith(".scratch")] == []


def test_a_process_that_dies_leaves_neither_lock_nor_scratch(shelf):
    code = f"""
import pathlib, sys
from onnxyard.stages.optimize.shelf import Shelf
shelf = Shelf(pathlib.Path({str(shelf.folder)!r}))
with shelf.scratch() as scratch, shelf.alone("key"):
    (scratch / "half").write_text("half")
    print(scratch, flush=True)
    sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        scratch = Path(child.stdout.readline().strip())
        with shelf.scratch():
            assert scratch.exists()  # it lives
        os.kill(child.pid, signal.SIGKILL)
    assert scratch.exists()
    assert find(shelf) is None
    keep(shelf)
    assert not scratch.exists()


def test_what_was_not_asked_for_longest_goes_first(shelf):
    now = 1_000_000.0
    for age, key in ((9000, "old"), (8000, "older-but-asked"), (7000, "young"), (10, "just-now")):
        entry = keep(shelf, key, "x" * 1000).parent
        os.utime(entry, (now - age, now - age))
    find(shelf, "older-but-asked")
    size = sum(path.stat().st_size for path in (shelf.folder / "young").rglob("*"))
    shelf.prune(4 * size, now=now)
    assert all(find(shelf, key) for key in ("old", "older-but-asked", "young", "just-now"))
    for age, key in ((9000, "old"), (7000, "young"), (10, "just-now")):
        os.utime(shelf.folder / key, (now - age, now - age))
    os.utime(shelf.folder / "older-but-asked", (now - 10, now - 10))
    shelf.prune(3 * size, now=now)
    assert find(shelf, "old") is None
    assert find(shelf, "young") is not None


def test_what_is_in_use_is_never_removed(shelf):
    entry = keep(shelf).parent
    shelf.prune(0, now=entry.stat().st_mtime + 60)
    assert find(shelf) is not None
    shelf.prune(0, now=entry.stat().st_mtime + 7200)
    assert find(shelf) is None
