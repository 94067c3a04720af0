"""Real sentences that every environment of Onnxyard's has: docstrings of the packages that it is made of."""

import ast
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PACKAGES = ("sqlalchemy", "sklearn", "torch", "plotly", "nltk")
EACH = 840
"""Docstrings of a package."""
SHORTEST = 200
"""Characters."""


def docstrings() -> tuple[list[str], np.ndarray]:
    """Texts in an order of chance, and the numbers of their packages. No text comes twice."""
    texts, labels, seen = [], [], set()
    for number, package in enumerate(PACKAGES):
        found = 0
        for text in _of_package(package):
            if found == EACH:
                break
            if text not in seen:
                seen.add(text)
                texts.append(text)
                labels.append(number)
                found += 1
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[at] for at in order], np.array(labels)[order]


def _of_package(package: str):
    spec = find_spec(package)
    files = sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))
    np.random.default_rng(1).shuffle(files)
    for file in files:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                text = " ".join((ast.get_docstring(node) or "").split())
                if len(text) >= SHORTEST:
                    yield text
