"""`labels`: indices to names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from onnxyard.errors import UserCodeError
from onnxyard.processing.flow import Flow
from onnxyard.processing.step import Text, Transform

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain

Names = Annotated[tuple[Text, ...], Field(strict=False, min_length=1, description="a list of texts")]


class Labels(Transform):
    """Class indices, integers of any shape, to STRING of the same shape; -1 (no class) to an empty text.

    Attributes:
        names: The classes' names, in the order of their indices.
    """

    step: Literal["labels"]
    names: Names

    def build(self, chain: Chain) -> None:
        flow = chain.take(self.input, keep=self.keep)
        if flow.dtype not in {"INT32", "INT64"}:
            raise UserCodeError(f"{self.input!r} is {flow.dtype}, not the index of a class.", where=chain.where)
        # A negative index counts from the end, where the empty text stands.
        names = chain.texts([*self.names, ""])
        chain.give(self.gives, Flow(chain.op("Gather", names, flow.value, axis=0), "STRING", flow.shape))
