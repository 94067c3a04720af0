"""`normalize`: numbers to floats of a known scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import Flow
from onnxyard.processing.step import Number, Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain

Numbers = Annotated[tuple[Number, ...], Field(strict=False, min_length=1, description="a list of numbers")]


class Normalize(Transform):
    """Any numbers to FLOAT: (x * scale - mean) / std.

    Attributes:
        scale: What each value is multiplied by, as 0.00392156862745098 for bytes.
        mean: One for all, or one per entry of the last axis (the channels, the features).
        std: Likewise; none of them 0.
    """

    step: Literal["normalize"]
    scale: Number = 1.0
    mean: Numbers = (0.0,)
    std: Numbers = (1.0,)

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        if flow.dtype in {"STRING", "BOOL"}:
            raise UserCodeError(f"{self.input!r} is {flow.dtype}, not numbers.", where=chain.where)
        last = flow.shape[-1] if flow.shape else 1
        lengths = {len(self.mean), len(self.std)} - {1}
        wrong = [length for length in lengths if length != last] if isinstance(last, int) else []
        if wrong or len(lengths) > 1:
            raise UserCodeError(
                f"mean has {len(self.mean)} numbers and std {len(self.std)}; {self.input!r} has {last} entries.",
                where=chain.where,
            )
        if 0.0 in self.std:
            raise UserCodeError("std holds a 0.", where=chain.where)
        value = flow.value if flow.dtype == "FLOAT" else chain.op("Cast", flow.value, to=1)
        # One product and one sum, as x * a + b: the constants are folded here, in float64.
        factors = [self.scale / std for std in self.std]
        width = max(len(self.mean), len(self.std))
        means, stds = (list(values) * (width // len(values)) for values in (self.mean, self.std))
        offsets = [-mean / std for mean, std in zip(means, stds, strict=True)]
        if any(factor != 1.0 for factor in factors):
            value = chain.op("Mul", value, chain.floats(factors))
        if any(offset != 0.0 for offset in offsets):
            value = chain.op("Add", value, chain.floats(offsets))
        chain.give(self.gives, Flow(value, "FLOAT", flow.shape))
