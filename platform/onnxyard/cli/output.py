"""What commands print: JSON alone on stdout, or text for people; everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from onnxyard.errors import OnnxyardError

out = Console(highlight=False, soft_wrap=True)
"""Results."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, warnings, errors."""


def print_json(document: object) -> None:
    """Print one JSON-compatible document on stdout, and nothing else."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def error_document(error: OnnxyardError) -> dict[str, object]:
    """An error as JSON: what `--json` prints when a command fails."""
    return {"error": {"code": error.code, "title": error.title, "detail": error.detail, "context": dict(error.context)}}


def print_error(error: OnnxyardError, *, as_json: bool) -> None:
    """Say what happened, where, and what to do next; on stderr, and as JSON on stdout where JSON was asked for."""
    if as_json:
        print_json(error_document(error))
    err.print(f"[bold red]{error.title}:[/] ", end="")
    err.print(error.detail, markup=False)
    if error.where:
        err.print(f"  where: {error.where}", markup=False)
    problems = error.facts.get("problems")
    for problem in problems if isinstance(problems, list) else ():
        err.print(f"  - {problem}", markup=False)
    if error.remedy:
        err.print(f"  next:  {error.remedy}", markup=False)
