"""NNCF: OpenVINO's quantizer, over ONNX."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.calibration import first_rows
from onnxyard.stages.optimize.passes.extra import of_extra
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.qdq_graph import check_quantized, quantized_layers
from onnxyard.stages.optimize.passes.saturation import int8_products_saturate
from onnxyard.stages.optimize.passes.silence import silence
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.passes.typed_graph import load_typed, raised_to, takes_any_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import onnx

    from onnxyard.stages.optimize.passes.transformation import Materials

_OPSET = 13
_QUIET = "NNCF_CI"
"""While it is set, importing NNCF makes it a telemetry that sends nothing."""
_NO_SMOOTHING = -1
"""SmoothQuant, which NNCF adds for transformers, is left out: OpenVINO 2026.4 answers otherwise than the graph it makes
says (an encoder: 14 dB of signal-to-noise ratio for 32 dB in ONNX Runtime; without it 38 dB in both)."""
_ATTENTION = frozenset({"Attention", "Softmax"})


@dataclass(frozen=True, slots=True)
class QuantizeWithNncf:
    """Quantize with NNCF's post-training quantization, which corrects biases too; QDQ that OpenVINO fuses best.

    https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html

    Attributes:
        rows: Calibration rows at most.
        reduced: Weights in 7 bits (`int8_products_saturate`) in all layers, and not in the first ones only.
    """

    rows: int = 64
    reduced: bool = field(default_factory=int8_products_saturate)

    packages: ClassVar[tuple[str, ...]] = ("nncf", "onnx", "onnxruntime", "openvino")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`. Raises UnsupportedModelError also where no layer was quantized."""
        model = load_typed(source)
        cut = takes_any_batch(model)
        model = raised_to(model, _OPSET, first_rows(materials.calibration(), 2, cut=cut))
        transformer = any(node.op_type in _ATTENTION for node in model.graph.node)
        batches = list(first_rows(materials.calibration(), self.rows, cut=cut))
        with _nncf_at_rest(), silence(), warnings.catch_warnings():
            # Of its own use of numpy and torch, and of batch sizes; nothing that a user could act on.
            warnings.simplefilter("ignore")
            made = self._quantized(model, batches, transformer=transformer)
        done, layers = check_quantized(quantized_layers(made))
        save_model(made, folder / MODEL)
        facts = {"quantized": f"{done} of {layers} layers", "by": f"NNCF{', as a transformer' if transformer else ''}"}
        return Transformed(folder / MODEL, changed=True, facts=facts)

    def _quantized(
        self, model: onnx.ModelProto, batches: list[dict[str, np.ndarray]], *, transformer: bool
    ) -> onnx.ModelProto:
        with of_extra("runtimes"):
            import nncf  # noqa: PLC0415 - the `runtimes` extra
        fix = nncf.OverflowFix.ENABLE if self.reduced else nncf.OverflowFix.FIRST_LAYER
        try:
            made: onnx.ModelProto = nncf.quantize(
                model,
                nncf.Dataset(batches),
                subset_size=len(batches),
                model_type=nncf.ModelType.TRANSFORMER if transformer else None,
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=fix, smooth_quant_alpha=_NO_SMOOTHING
                ),
            )
        except (nncf.UnsupportedModelError, nncf.ValidationError, nncf.InternalError) as error:
            raise UnsupportedModelError(f"NNCF cannot quantize the model: {error}") from error
        return made


@contextmanager
def _nncf_at_rest() -> Iterator[None]:
    """Let NNCF be imported without telemetry, and without its class for everybody's loggers."""
    from onnxyard.runtimes.openvino_package import without_telemetry  # noqa: PLC0415 - it imports OpenVINO, as NNCF does

    before, loggers = os.environ.get(_QUIET), logging.getLoggerClass()
    os.environ[_QUIET] = "1"
    try:
        with without_telemetry():  # the variable alone lets NNCF keep an id in the user's home
            yield
    finally:
        logging.setLoggerClass(loggers)
        if before is None:
            del os.environ[_QUIET]
        else:
            os.environ[_QUIET] = before
