"""The files pages load. Nothing third-party is committed: plotly.js comes from the installed plotly wheel."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import version

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
SHORT = 10


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file, compressed once.

    Attributes:
        name: Its name in the URL: it holds the content's digest, so that a browser may keep it for ever.
        media_type: As `text/css; charset=utf-8`.
        compressed: gzip.
    """

    name: str
    media_type: str
    compressed: bytes


@cache
def assets() -> dict[str, Asset]:
    """Every asset by its plain name: our own files and `plotly.js`."""
    own = resources.files("onnxyard_dashboard") / "static"
    found = {file.name: file.read_bytes() for file in own.iterdir() if file.name.rpartition(".")[2] in TYPES}
    found["plotly.js"] = (resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return {name: _asset(name, content) for name, content in found.items()}


def _asset(name: str, content: bytes) -> Asset:
    stem, _, kind = name.rpartition(".")
    mark = version("plotly") if stem == "plotly" else hashlib.sha256(content).hexdigest()[:SHORT]
    return Asset(f"{stem}-{mark}.{kind}", TYPES[kind], gzip.compress(content, compresslevel=6, mtime=0))


@cache
def by_address() -> dict[str, Asset]:
    """Every asset by its name in the URL."""
    return {asset.name: asset for asset in assets().values()}
