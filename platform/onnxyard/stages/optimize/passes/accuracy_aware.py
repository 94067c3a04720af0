"""Accuracy-aware int8: what harms most stays in float, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from onnxyard.errors import UnsupportedModelError
from onnxyard.parity.error import compare
from onnxyard.sources.saving import save_model
from onnxyard.stages.optimize.passes.activation_ranges import Method
from onnxyard.stages.optimize.passes.calibration import first_rows
from onnxyard.stages.optimize.passes.model_file import MODEL
from onnxyard.stages.optimize.passes.qdq_graph import (
    OPERATORS,
    IntegerType,
    QdqStyle,
    Quantizable,
    check_quantized,
    quantized_layers,
    style_facts,
)
from onnxyard.stages.optimize.passes.rows_run import run_rows
from onnxyard.stages.optimize.passes.saturation import int8_products_saturate
from onnxyard.stages.optimize.passes.transformation import Transformed
from onnxyard.stages.optimize.passes.typed_graph import takes_any_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx

    from onnxyard.stages.optimize.passes.transformation import Materials


class Damage(NamedTuple):
    """What quantizing one layer alone does to the model's outputs.

    Attributes:
        layer: The node's name.
        snr_db: Signal-to-noise ratio of all outputs against the float model's; the lower, the worse.
    """

    layer: str
    snr_db: float

    def __str__(self) -> str:
        return f"{self.layer} ({self.snr_db:.1f} dB)"


@dataclass(frozen=True, slots=True)
class QuantizeAccuracyAware:
    """Quantize all layers; where the metric falls too far, return the most harmful ones to float until it does not.

    Layers are ranked by the error that each causes in the outputs when it alone is quantized, on a few calibration
    rows, with the ranges that `MeasureRanges` noted. Then the least number of layers, taken from the head of that
    ranking, is sought with which the metric holds on the calibration split: by doubling the number until it holds, and
    bisecting. What stands directly beside a layer in float, and only moves or adds its values, stays in float with it.

    Attributes:
        method: How the activations' ranges are chosen.
        activations: Their type.
        weights: Their type.
        per_channel: One scale for each output channel of a weight.
        reduced: Weights in 7 bits (`int8_products_saturate`).
        rows: Calibration rows that the ranking looks at.
    """

    method: Method = "minmax"
    activations: IntegerType = "int8"
    weights: IntegerType = "int8"
    per_channel: bool = True
    reduced: bool = field(default_factory=int8_products_saturate)
    rows: int = 8

    packages: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime")
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`.

        Raises UnsupportedModelError also where no layer can be quantized without the metric falling too far.
        """
        style = QdqStyle(self.method, self.activations, self.weights, self.per_channel, self.reduced, OPERATORS)
        search = _Search(Quantizable(source, style), source, materials)
        whole = search.drop(())
        kept: tuple[Damage, ...] = ()
        facts = style_facts(style)
        if not whole <= materials.max_drop:
            cut = takes_any_batch(search.quantizable.model)
            ranking = ranked(search.quantizable, list(first_rows(materials.calibration(), self.rows, cut=cut)))
            kept, drop = search.fewest(ranking)
            facts |= {
                "kept in float": ", ".join(map(str, kept)),
                "why": f"with all layers quantized the metric falls by {whole:.4g} on calibration rows, allowed is "
                f"{materials.max_drop:.4g}; with these in float by {drop:.4g} (beside each: the outputs' "
                "signal-to-noise ratio when it alone is quantized)",
            }
        else:
            facts["kept in float"] = f"none: with all layers quantized the metric falls by {max(whole, 0.0):.4g} only"
        model = search.model([damage.layer for damage in kept])
        done, layers = check_quantized(quantized_layers(model))
        save_model(model, folder / MODEL)
        return Transformed(folder / MODEL, changed=True, facts={"quantized": f"{done} of {layers} layers", **facts})


def ranked(quantizable: Quantizable, rows: Sequence[dict[str, np.ndarray]]) -> tuple[Damage, ...]:
    """All layers, the most harmful first.

    Args:
        quantizable: The model.
        rows: Batches of model inputs; a few rows in all tell layers apart.
    """
    reference = list(run_rows(quantizable.model, rows))

    def damage(layer: str) -> Damage:
        alone = run_rows(quantizable.quantized(only={layer}), rows)
        return Damage(layer, min(compare(a, b).snr_db for a, b in zip(reference, alone, strict=True)))

    return tuple(sorted(map(damage, quantizable.layers), key=lambda each: (each.snr_db, each.layer)))


class _Search:
    """The metric of a model some of whose layers are in float."""

    def __init__(self, quantizable: Quantizable, source: Path, materials: Materials) -> None:
        self.quantizable = quantizable
        self._materials = materials
        self._reference = materials.score(source)

    def model(self, kept: Sequence[str]) -> onnx.ModelProto:
        return self.quantizable.quantized(kept=self.quantizable.beside(kept))

    def drop(self, kept: Sequence[Damage]) -> float:
        """How far the metric falls; NaN where it is none."""
        with TemporaryDirectory() as folder:
            file = Path(folder, MODEL)
            save_model(self.model([damage.layer for damage in kept]), file)
            return self._reference - self._materials.score(file)

    def fewest(self, ranking: tuple[Damage, ...]) -> tuple[tuple[Damage, ...], float]:
        """The shortest head of the ranking to keep in float, and how far the metric falls then."""
        drops: dict[int, float] = {}

        def holds(count: int) -> bool:
            drops[count] = self.drop(ranking[:count])
            return drops[count] <= self._materials.max_drop

        most = len(ranking) - 1  # with all of them in float, nothing is quantized
        fails, good = 0, 1
        while good <= most and not holds(good):
            fails, good = good, max(min(2 * good, most), good + 1)
        if good > most:
            raise UnsupportedModelError(
                f"The metric falls by more than {self._materials.max_drop:.4g} whichever of the {len(ranking)} layers "
                "is quantized."
            )
        while good - fails > 1:
            middle = (good + fails) // 2
            fails, good = (fails, middle) if holds(middle) else (middle, good)
        return ranking[:good], drops[good]
