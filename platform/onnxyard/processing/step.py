"""What every step has, and the words its parameters are described in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from onnxyard.processing.chain import Chain

Text = Annotated[str, Field(min_length=1, description="a text that is not empty")]
Flag = Annotated[bool, Field(description="true or false")]
Count = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number of at least 1")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="a number between 0 and 1")]
Number = Annotated[float, Field(allow_inf_nan=False, description="a finite number")]
Fitting = Annotated[Literal["stretch", "letterbox"], Field(description="one of stretch, letterbox")]
FileName = Annotated[str, Field(min_length=1, description="a file's path relative to the project's folder")]
Size = Annotated[
    tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]],
    Field(strict=False, description="a height and a width, as [320, 320]"),
]


class Step(BaseModel, ABC):
    """One `[[preprocess]]` or `[[postprocess]]` table: frozen, nothing unknown in it, no type bent into another.

    Attributes:
        input: The tensor it takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    input: Text

    @property
    def files(self) -> tuple[str, ...]:
        """Files of the project that become part of the graph."""
        return ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions, beyond the light core, whose version changes what it gives."""
        return ()

    @abstractmethod
    def build(self, chain: Chain) -> None:
        """Add the step's nodes: take the input from the chain, give the result to it.

        Raises:
            UserCodeError: the input's type or rank is not what the step takes, or a file is not what it should be.
        """


class Transform(Step):
    """A step from one tensor to one.

    Attributes:
        output: What it calls the result; as its input by default.
        keep: Whether the input goes on beside the result, where that has a name of its own.
    """

    output: Text | None = None
    keep: Flag = False

    @property
    def gives(self) -> str:
        """The result's name."""
        return self.output or self.input
