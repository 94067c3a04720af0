import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.toolchains import transcript
from onnxyard.toolchains.transcript import Transcript


def spoken(chunks: list[bytes], file, said=None) -> Transcript:
    reading, writing = os.pipe()
    words = Transcript(os.fdopen(reading, "rb"), file, said)
    with os.fdopen(writing, "wb", buffering=0) as end:
        for chunk in chunks:
            end.write(chunk)
    words.close(keep=True)
    return words


@given(
    texts=st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=20), max_size=8)
)
def test_every_line_is_heard_once_however_it_comes(tmp_path_factory, texts):
    file = tmp_path_factory.mktemp("words") / "log"
    heard: list[str] = []
    words = spoken(["".join(f"{text}\n" for text in texts).encode()], file, heard.append)
    assert heard == texts
    assert file.read_bytes() == words.text.encode()


def test_a_flood_neither_fills_the_disk_nor_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(transcript, "LARGEST_LOG", 1 << 20)
    words = spoken([b"x" * (1 << 20) for _ in range(4)] + [b"\nthe end\n"], tmp_path / "log")
    assert (tmp_path / "log").stat().st_size == 1 << 20
    assert len(words.text) <= 64 << 10
    assert words.last_lines(1) == "the end"


@pytest.mark.parametrize("keep", [True, False])
def test_the_log_stays_where_it_is_wanted(tmp_path, keep):
    reading, writing = os.pipe()
    words = Transcript(os.fdopen(reading, "rb"), tmp_path / "logs" / "log")
    os.close(writing)
    words.close(keep=keep)
    assert words.file.exists() is keep
