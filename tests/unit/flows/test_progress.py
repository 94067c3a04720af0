"""What a person who waits reads."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.progress import Progress

from onnxyard_flows.progress import Bars, worded


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("best ratio", 0.41234, "best ratio 0.4123"),
        ("left", 23.0, "23 left"),
        ("seconds left", 80.4, "1:20 left"),
        ("seconds left", 59.7, "1:00 left"),
        ("seconds left", 3_725.0, "1:02:05 left"),
        ("loss", float("nan"), "loss nan"),
    ],
)
def test_metrics(name, value, said):
    assert worded(name, value) == said


def test_the_bar_of_a_search_knows_how_far_it_is():
    progress = Progress(console=Console(quiet=True))
    with Bars(progress).stage("optimize", steps=None) as bar:
        bar(7, {"best ratio": 0.41, "left": 23, "seconds left": 80})
        [task] = progress.tasks
        assert (task.completed, task.total) == (7, 30)
        assert task.fields["metrics"] == "best ratio 0.41  23 left  1:20 left"
        bar(8, {"loss": 0.5})
        assert (task.completed, task.total) == (8, 30)
