"""The steps by the name that a project file gives them. One more is one more file, and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, get_args

from pydantic import Field

from onnxyard.processing.argmax import Argmax
from onnxyard.processing.channels_first import ChannelsFirst
from onnxyard.processing.decode import Decode
from onnxyard.processing.labels import Labels
from onnxyard.processing.nms import Nms
from onnxyard.processing.normalize import Normalize
from onnxyard.processing.resize import Resize
from onnxyard.processing.softmax import Softmax
from onnxyard.processing.tokenize import Tokenize
from onnxyard.processing.unletterbox import Unletterbox

if TYPE_CHECKING:
    from onnxyard.processing.step import Step

AnyStep: TypeAlias = (
    Argmax | ChannelsFirst | Decode | Labels | Nms | Normalize | Resize | Softmax | Tokenize | Unletterbox
)
Steps = Annotated[
    tuple[Annotated[AnyStep, Field(discriminator="step")], ...],
    Field(strict=False, description="a list of tables [[...]]"),
]
BY_NAME: dict[str, type[Step]] = {get_args(kind.model_fields["step"].annotation)[0]: kind for kind in get_args(AnyStep)}
"""Each step's class by its name."""
