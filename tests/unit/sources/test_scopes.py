"""Scopes of torch's legacy exporter lead back to a module's path."""

import pytest

from onnxyard.sources.torch.scopes import innermost, module_path
from onnxyard.sources.torch.tree import SourceTree

MODULES = ["", "body", "body.0", "body.1", "layers", "layers.0", "layers.0.attention", "layers.1", "layers.1.attention"]


@pytest.mark.parametrize(
    ("scopes", "path"),
    [
        ([], ""),
        (["body", "body.0"], "body.0"),
        (["body", "body.1"], "body.1"),
        (["layers.1", "attention"], "layers.1.attention"),
        (["layers.0", "attention_1"], "layers.0.attention"),
        (["body_2", "body.0_1"], "body.0"),
        (["body", "unknown"], "body"),
    ],
)
def test_the_innermost_module_is_found(scopes, path):
    assert module_path(scopes, MODULES) == path


def test_the_deepest_line_of_the_project_is_told(tmp_path):
    frames = f"/lib/linear.py(134): forward\n{tmp_path}/net.py(7): forward\n{tmp_path}/net.py(13): forward\n"
    assert innermost(frames, SourceTree((tmp_path,))) == "net.py:7"
    assert innermost("/lib/linear.py(134): forward\n", SourceTree((tmp_path,))) == ""
