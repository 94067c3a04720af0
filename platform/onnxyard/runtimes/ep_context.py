"""Contexts of an execution provider: graphs that hold what it compiled (`EPContext` nodes), good for where it was made.

A provider may take another version's context and compile anew without a word, or give wrong answers. So the file says
for what it is (as metadata of the model), and whoever loads it asks.
https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Self

import onnxruntime as ort

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.runtimes.processor import Processor

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "onnxyard.ep_context"
"""Of the model's `metadata_props`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a context was made by, and for where.

    Attributes:
        provider: The execution provider, as ONNX Runtime has it.
        package: Its distribution and version, as `onnxruntime-qnn 2.7.0`.
        onnxruntime: ONNX Runtime's version.
        device: The devices that the provider found, in words.
        processor: The processor it was made on.
    """

    provider: str
    package: str
    onnxruntime: str
    device: str
    processor: Processor

    @classmethod
    def here(cls, provider: str, distribution: str, device: str) -> Self:
        """What a context would be that is made now. Raises PackageNotFoundError where there is no such distribution."""
        package = f"{distribution} {metadata.version(distribution)}"
        return cls(provider, package, ort.__version__, device, Processor.here())

    def text(self) -> str:
        """As it stands in the model's metadata."""
        return canonical_json({**asdict(self), "processor": self.processor.document()}).decode()

    @classmethod
    def of_text(cls, text: str) -> Self:
        """What `text` gave. Raises ArtifactCorruptError for anything else."""
        try:
            document = json.loads(text)
            return cls(**{**document, "processor": Processor.of_document(document["processor"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorruptError(f"The model's {KEY} is no description of a context: {error}") from error


def check_context(properties: Mapping[str, str], *, where: str = "") -> None:
    """Refuse a context that was made by other versions, or on a processor that can more.

    Args:
        properties: The model's metadata, as `session.get_modelmeta().custom_metadata_map`; without `KEY` it holds no
            context of ours.
        where: The model's file, for messages.

    Raises:
        UnsupportedModelError: naming what differs.
        ArtifactCorruptError: the metadata is not as we write it.
    """
    if KEY not in properties:
        return
    made = Context.of_text(properties[KEY])
    try:
        now = Context.here(made.provider, made.package.rpartition(" ")[0], made.device)
    except metadata.PackageNotFoundError:
        raise UnsupportedModelError(
            f"The model holds a context of {made.provider} ({made.package}), which is not installed.", where=where
        ) from None
    versions = (f"{made.package} under ONNX Runtime {made.onnxruntime}", f"{now.package} under {now.onnxruntime}")
    if (made.package, made.onnxruntime) != (now.package, now.onnxruntime):
        objection = f"it was compiled by {versions[0]}, and this is {versions[1]}"
    else:
        objection = made.processor.objection(now.processor)
    if objection:
        raise UnsupportedModelError(
            f"The model's compiled context is not for here: {objection}.",
            where=where,
            remedy="Make it again on this machine, or take the recipe without 'ep-context'.",
        )
