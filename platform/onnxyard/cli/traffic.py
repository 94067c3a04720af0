"""Real traffic for a tour: held-out rows over HTTP, and the same rows with a planted shift."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import numpy as np

from onnxyard.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IMAGE_RANK = 3
"""From this rank on (batch, height, width, ...) a tensor is taken for an image or a signal."""


def draw(available: int, *, rows: int, seed: int) -> np.ndarray:
    """Which of `available` held-out rows to send: int64 [rows].

    Every row once, in a seeded order; where that is too few, more by a seeded draw with replacement.
    """
    random = np.random.default_rng(seed)
    once = random.permutation(available)[:rows]
    again = random.integers(0, available, max(0, rows - available))
    return np.concatenate([once, again])


def share_right(answers: Mapping[str, np.ndarray], targets: object) -> float | None:
    """The share of rows whose answer is the target: the first integer answer with one value per row.

    None where the answers hold none, or the targets are no integers: the live rows of such a model are not scored here.
    """
    truth = np.asarray(targets) if isinstance(targets, np.ndarray) else np.zeros(0)
    decided = next((a for a in answers.values() if a.shape == truth.shape and a.dtype.kind in "iu"), None)
    if decided is None or truth.dtype.kind not in "iub":
        return None
    return float(np.mean(decided == truth))


def plant_shift(inputs: Mapping[str, np.ndarray], *, seed: int) -> dict[str, np.ndarray]:
    """The same rows as a broken camera or sensor would send them.

    Images and signals are inverted within their range and made noisy (normal, a fifth of the range); flat numbers are
    moved by one standard deviation of their column. Anything else (strings) passes unchanged. Dtypes and shapes stay.
    """
    random = np.random.default_rng(seed)
    shifted = {}
    for name, values in inputs.items():
        if values.dtype.kind not in "iuf":
            shifted[name] = values
            continue
        wide = values.astype(np.float64)
        low, high = wide.min(), wide.max()
        if values.ndim >= IMAGE_RANK:
            wide = np.clip(low + high - wide + random.normal(0, (high - low) / 5, wide.shape), low, high)
        else:
            wide = wide + wide.std(axis=0)
        if values.dtype.kind in "iu":
            limits = np.iinfo(values.dtype)
            wide = np.clip(np.rint(wide), limits.min, limits.max)
        shifted[name] = wide.astype(values.dtype)
    return shifted


class InferenceClient:
    """A minimal Open Inference Protocol V2 client (REST, JSON) over one kept-alive connection."""

    def __init__(self, url: str, endpoint: str, *, timeout_s: float = 30.0) -> None:
        self._url = url
        self._path = f"/v2/models/{endpoint}"
        self._connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=timeout_s)
        self._datatypes = {spec["name"]: spec["datatype"] for spec in self._call("GET", self._path)["inputs"]}

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One request with all rows of `inputs`; the answers by name, shaped."""
        tensors = [
            {
                "name": name,
                "shape": list(values.shape),
                "datatype": self._datatypes[name],
                "data": values.ravel().tolist(),
            }
            for name, values in inputs.items()
        ]
        answer = self._call("POST", f"{self._path}/infer", {"inputs": tensors})
        return {tensor["name"]: np.asarray(tensor["data"]).reshape(tensor["shape"]) for tensor in answer["outputs"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        payload = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            document: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnreachableError(f"The endpoint did not answer: {error}.", where=self._url + path) from error
        if response.status != http.client.OK:
            raise UnreachableError(
                f"The endpoint answered {response.status}: {document.get('error', document)}", where=self._url + path
            )
        return document


def send(
    client: InferenceClient, inputs: Mapping[str, np.ndarray], *, batch: int, progress: Callable[[int], None]
) -> dict[str, np.ndarray]:
    """Send every row in requests of `batch` rows, calling `progress(rows)` after each; the answers, in order."""
    rows = len(next(iter(inputs.values())))
    answers: list[dict[str, np.ndarray]] = []
    for start in range(0, rows, batch):
        part = {name: values[start : start + batch] for name, values in inputs.items()}
        answers.append(client.infer(part))
        progress(min(batch, rows - start))
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
