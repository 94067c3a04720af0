"""Is a shared weight stored once?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from onnx import numpy_helper

from onnxyard.diagnosis.codes import TIED_WEIGHTS_SPLIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.lifecycle.finding import Finding


_WORTH_A_WORD = 1024
"""Bytes; copies of fewer are what every exporter makes of small constants."""


def probe(case: Case) -> Iterator[Finding]:
    """Parameters that the model's modules share, and the graph's tensors that hold their values, transposed or not."""
    torch = case.subject.torch
    tied = [] if torch is None else torch.tied()
    if torch is None or not tied:
        return
    by_size: defaultdict[int, list[np.ndarray]] = defaultdict(list)
    for tensor in case.proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        by_size[array.size].append(array)
    for names in tied:
        weight = torch.weight(names[0])
        copies = [array for array in by_size[weight.size] if _holds(array, weight)]
        extra = sum(array.nbytes for array in copies[1:])
        if extra >= _WORTH_A_WORD:
            modules = [name.rpartition(".")[0] for name in names]
            yield TIED_WEIGHTS_SPLIT.found(
                f"{' and '.join(names)} are one weight, stored {len(copies)} times: {extra:,} bytes too many.",
                module=modules[-1],
                source=torch.line_of(modules[-1], case.subject.asked.inputs),
            )


def _holds(array: np.ndarray, weight: np.ndarray) -> bool:
    if array.dtype != weight.dtype:
        return False
    return any(np.array_equal(array, turned) for turned in (weight, weight.T) if turned.shape == array.shape)
