"""One infer request from its bytes to its response's bytes, on a worker thread."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from onnxyard_serving.decoder import decode, parse_json
from onnxyard_serving.encoder import encode
from onnxyard_serving.journal import Answered

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from onnxyard_serving.journal import Journal
    from onnxyard_serving.served import Endpoint


class Inference:
    """Answers requests and hands what it answered to the journal.

    Args:
        journal: Where answered requests go.
        now: The time (UTC).
    """

    def __init__(self, journal: Journal, *, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._now = now

    def infer(self, endpoint: Endpoint, version: str | None, body: bytes) -> bytes:
        """The response to one V2 infer request.

        Args:
            endpoint: Who is asked.
            version: The version in the path; None for whatever is live.
            body: The request's JSON.

        Raises:
            InvalidRequestError, TooLargeError: the request is wrong.
            NotFoundError: another version is live.
            TransientError: nothing is loaded yet.
            UnsupportedModelError: the graph fails on these inputs, or the answer does not fit into JSON.
        """
        began = time.perf_counter_ns()
        served = endpoint.serving(version)  # taken once: signature, answer and names below are one version's
        document = parse_json(body, nan=any(spec.missing for spec in served.signature.inputs))
        request = decode(document, served.signature)
        request_id = uuid.uuid4().hex
        answers = served.answer(request.inputs)
        response = encode(
            served,
            answers,
            outputs=request.outputs,
            response_id=request_id if request.client_id is None else request.client_id,
            request_id=request_id,
        )
        self._journal.take(
            Answered(
                served=served,
                request_id=request_id,
                client_id=request.client_id,
                raw=request.inputs,
                answers=answers,
                rows=request.rows,
                at=self._now(),
                duration_us=(time.perf_counter_ns() - began) // 1000,
            )
        )
        return response
