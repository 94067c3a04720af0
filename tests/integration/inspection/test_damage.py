"""Damaged files by the hundred: each is admitted or refused in words, whatever was done to it."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from onnx import helper

import graphs
import hostile
from onnxyard.sources.admission.admitting import Admitted, look_at

WAYS = 4
EXPLAINED = {
    "corrupt-file",
    "endless-loop",
    "external-data",
    "missing-kernel",
    "not-loadable",
    "not-onnx",
    "resource-bomb",
    "unknown-domain",
}


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Flipped bits, a piece cut off the end, a piece repeated elsewhere, a piece overwritten with noise."""
    data = bytearray(content)
    at, other = (int(place) for place in random.integers(0, len(data), 2))
    way = random.integers(0, WAYS)
    if way == 0:
        for place in random.integers(0, len(data), int(random.integers(1, 4))):
            data[place] ^= 1 << int(random.integers(0, 8))
    elif way == 1:
        del data[at:]
    elif way == 2:
        data[at:at] = data[other : other + int(random.integers(1, 40))]
    else:
        piece = random.bytes(int(random.integers(1, 16)))
        data[at : at + len(piece)] = piece
    return bytes(data)


def wide(path):
    """Most of it is weights: a flipped bit there still loads, which only a digest can tell."""
    weights = np.random.default_rng(1).normal(size=(4, 200)).astype(np.float32)
    return hostile.unary(
        path,
        [helper.make_node("MatMul", ["features", "weights"], ["scores"])],
        weights={"weights": weights},
        outputs=[graphs.tensor("scores", hostile.FLOAT, ["batch", 200])],
    )


def examined(folder, count):
    folder.mkdir()
    random = np.random.default_rng(8)
    sources = [
        wide(folder / "wide"),
        hostile.greedy_at_run_time(folder / "computed"),
        graphs.endless(folder / "loop"),
        hostile.laughing(folder / "functions"),
    ]
    contents = [source.read_bytes() for source in sources]
    files = []
    for number in range(count):
        files.append(folder / f"{number}.onnx")
        files[-1].write_bytes(damaged(contents[number % len(contents)], random))
    before = psutil.Process().memory_info().rss
    seen = look_at(files)
    assert psutil.Process().memory_info().rss - before < 50e6
    return seen


def explained(seen):
    """How many are admitted; every other one has a reason that is told with its place."""
    refused = [one for one in seen if not isinstance(one, Admitted)]
    for refusals in refused:
        for refusal in refusals:
            assert refusal.code in EXPLAINED
            assert len(refusal.what) > 20
            assert refusal.what.isprintable()
            assert refusal.remedy
    return len(seen) - len(refused)


def test_damage_is_explained(tmp_path):
    seen = examined(tmp_path / "files", 80)
    assert 0 < explained(seen) < 40


@pytest.mark.slow
def test_damage_by_the_hundred_is_explained(tmp_path):
    assert 0 < explained(examined(tmp_path / "files", 800)) < 400
