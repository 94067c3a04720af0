"""A zoo's mirror, by URL or folder: the port `ModelOrigin` for `zoo:NAME@OPSET`."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import quote, urlsplit

from onnxyard.disk import full_disk
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, NotFoundError, UnreachableError
from onnxyard.zoo.manifest import MANIFEST, ZooModel, choose, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OFFICIAL = "https://github.com/onnx/models/raw/main"
"""The ONNX project's own zoo."""
PATIENCE_SECONDS = 20.0
"""How long the network may be silent."""
LARGEST_MANIFEST_BYTES = 64 << 20
_BLOCK = 1 << 20


class ZooMirror:
    """A zoo.

    Args:
        address: `http(s)://...` or a folder: what holds `ONNX_HUB_MANIFEST.json`, with the models' paths below it.
        progress: Told the bytes that came and the bytes that will come (None where nobody said), block by block.
    """

    def __init__(self, address: str, *, progress: Callable[[int, int | None], None] | None = None) -> None:
        self._address = address.rstrip("/")
        self._url = urlsplit(address).scheme in {"http", "https"}
        self._progress = progress

    def models(self) -> tuple[ZooModel, ...]:
        """All models of the manifest. Raises UnreachableError, NotFoundError, ArtifactCorruptError."""
        with self._open(MANIFEST) as stream:
            content = stream.read(LARGEST_MANIFEST_BYTES + 1)
        if len(content) > LARGEST_MANIFEST_BYTES:
            raise ArtifactCorruptError("The zoo's manifest is over 64 MiB.", where=self._place(MANIFEST))
        return parse(content, self._place(MANIFEST))

    def fetch(self, reference: str, folder: Path) -> str:
        """See the port. The file is verified while it comes: too long, or other bytes, and nothing is left of it."""
        model = choose(self.models(), reference)
        if not model.sha256:
            raise InvalidRequestError(
                f"The zoo names no sha256 for {model.name}, so nobody can tell what would come.",
                where=self._place(MANIFEST),
                remedy="Fetch the file by hand, look at it, and name it as [project] onnx.",
            )
        target = folder / "model.onnx"
        draft = folder / ".model.onnx.part"
        try:
            with self._open(model.path) as stream, draft.open("wb") as file:
                found = self._copy(stream, file, model)
            came = draft.stat().st_size
            if model.size_bytes is not None and came < model.size_bytes:
                raise self._away(self._place(model.path), f"it ended after {came:,} of {model.size_bytes:,} bytes")
            if found != model.sha256:
                raise ArtifactCorruptError(
                    f"What came for {model.name} has sha256 {found[:12]}..., the manifest says {model.sha256[:12]}...",
                    where=self._place(model.path),
                    remedy="Try another mirror ([project] zoo): some hold Git LFS pointers in place of models.",
                )
            draft.replace(target)
        except OSError as error:
            full = full_disk(error)
            if full is not None:
                raise full from error
            raise
        finally:
            draft.unlink(missing_ok=True)
        return model.reference

    def _copy(self, stream: BinaryIO, file: BinaryIO, model: ZooModel) -> str:
        digest, came = hashlib.sha256(), 0
        while block := stream.read(_BLOCK):
            came += len(block)
            if model.size_bytes is not None and came > model.size_bytes:
                raise ArtifactCorruptError(
                    f"More comes for {model.name} than the {model.size_bytes:,} bytes the manifest promises.",
                    where=self._place(model.path),
                )
            digest.update(block)
            file.write(block)
            if self._progress is not None:
                self._progress(came, model.size_bytes)
        return digest.hexdigest()

    def _place(self, path: str) -> str:
        return f"{self._address}/{quote(path) if self._url else path}"

    @contextmanager
    def _open(self, path: str) -> Iterator[BinaryIO]:
        place = self._place(path)
        try:
            if self._url:
                with urllib.request.urlopen(place, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - http(s), see above
                    yield cast("BinaryIO", answer)
            else:
                with Path(place).expanduser().open("rb") as file:
                    yield file
        except urllib.error.HTTPError as error:
            if error.code in {404, 410}:
                raise NotFoundError(
                    f"The zoo has no {path}.", where=place, remedy="Is this the folder that holds the manifest?"
                ) from error
            raise self._away(place, f"HTTP {error.code} {error.reason}") from error
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFoundError(
                f"The zoo has no {path}.", where=place, remedy="Is this the folder that holds the manifest?"
            ) from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise self._away(place, str(getattr(error, "reason", error)) or type(error).__name__) from error

    def _away(self, place: str, why: str) -> UnreachableError:
        return UnreachableError(
            f"The zoo does not answer: {why}.",
            where=place,
            remedy="Is the network there? [project] zoo (or --mirror) names another mirror, a URL or a folder.",
        )
