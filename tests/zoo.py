"""A small zoo: a folder with a manifest and models, and the same on a port of loopback."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def entry(name: str, opset: int, content: bytes, *, path: str | None = None, **metadata: Any) -> dict[str, Any]:
    """A manifest's entry for a file of this content."""
    return {
        "model": name,
        "model_path": path or f"vision/{name.lower()}/model/{name.lower()}-{opset}.onnx",
        "onnx_version": "1.3",
        "opset_version": opset,
        "metadata": {
            "model_sha": sha256(content).hexdigest(),
            "model_bytes": len(content),
            "tags": ["vision"],
            **metadata,
        },
    }


def write_zoo(folder: Path, models: list[tuple[dict[str, Any], bytes]]) -> Path:
    """Write the manifest and the files; entries and contents may lie."""
    folder.mkdir(parents=True, exist_ok=True)
    for one, content in models:
        file = folder / one["model_path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "ONNX_HUB_MANIFEST.json").write_text(json.dumps([one for one, _ in models]))
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def on_loopback(folder: Path) -> Iterator[str]:
    """Serve the folder; its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
