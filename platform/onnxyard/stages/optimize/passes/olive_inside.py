"""The program inside the toolchain `olive`: lets Olive search by itself, and says which model it likes best.

Olive chooses among its own passes and most of the parameters that they search over by default, by its own sampler. Its
evaluator times calls itself, and asks the other side of the pipe for the project's metric.
"""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

import numpy as np
from olive.data.registry import Registry as Data
from olive.engine.footprint import FootprintNode
from olive.evaluator.metric_result import MetricResult
from olive.evaluator.olive_evaluator import OnnxEvaluator
from olive.evaluator.registry import Registry as Evaluators
from olive.workflows import run

from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[dict[str, Any]], None]

BATCHES = 4
"""Of calibration: Olive's histograms hold every activation of every row in memory."""
_CALLS = 50
_ROWS, _JUDGE = "onnxyard_rows", "OnnxyardJudge"


def search(given: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Run Olive's search.

    Args:
        given: `source`: the model's file. `calibration`: a folder of batches. `scratch`: an empty folder for whatever
            Olive writes. `answers`: a named pipe that gives one line for each model whose file was told: its metric, or
            nothing where it does not run. `max_drop`: how far the metric may fall. `seconds`: after so long no further
            model is begun. `threads`: at most so many.
        tell: Told `{"score": FILE}`.

    Returns:
        `file`: the best model's, None where there is none. `passes`: what made it, in order, each with what the search
        chose. `session`: what Olive would have the session set to. `tried`: how many models it measured.
    """
    scratch = Path(given["scratch"])
    FootprintNode.update = _updated
    Data.register_dataset(_ROWS)(_rows)
    Evaluators.register(_JUDGE)(_Judge)
    with Path(given["answers"]).open() as answers:
        _Judge.asked = _Asked(tell, answers)
        found = run(_workflow(given, scratch))
    tried = max(0, _Judge.asked.count - 1)  # the first is the source itself
    # A pass that fails raises nothing, and neither does a search in which all of them did.
    if found is None or not found.has_output_model():
        return {"file": None, "passes": [], "session": {}, "tried": tried}
    best = found.get_best_candidate()
    shutil.rmtree(scratch / "cache", ignore_errors=True)
    return {
        "file": str(best.model_path),
        "passes": _passes(found.footprint, best.model_id),
        "session": _plain(best.get_inference_config().get("session_options") or {}),
        "tried": tried,
    }


def _workflow(given: dict[str, Any], scratch: Path) -> dict[str, Any]:
    cpu = {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}
    peephole = {"type": "OnnxPeepholeOptimizer"}  # in the place of a choice: it changes nothing the second time
    threads = range(1, given["threads"] + 1)
    return {
        "input_model": {"type": "OnnxModel", "model_path": given["source"]},
        "systems": {"here": {"type": "LocalSystem", "accelerators": [cpu]}},
        "host": "here",
        "target": "here",
        "data_configs": [_data("calibration", given["calibration"], one=False), _data("one", given["calibration"])],
        "evaluators": {"project": {"type": _JUDGE, "metrics": [_LATENCY, _quality(given["max_drop"])]}},
        "evaluator": "project",
        "search_strategy": {
            "execution_order": "joint",
            "sampler": "random",  # its `tpe` breaks where passes are alternatives: it mixes their parameters up
            "sampler_config": {"seed": 0},
            "max_time": max(1, int(given["seconds"])),
        },
        "passes": {
            "graph": [peephole, {"type": "OrtTransformersOptimization", "model_type": "bert"}],
            "precision": [
                peephole,
                {"type": "OnnxDynamicQuantization", **_WHOLE},
                {"type": "OnnxStaticQuantization", "data_config": "calibration", **_NARROWED},
            ],
            "session": [
                {
                    "type": "OrtSessionParamsTuning",
                    "data_config": "one",
                    "cpu_cores": given["threads"],
                    "execution_mode_list": [0, 1],
                    "intra_thread_num_list": list(threads),
                    "opt_level_list": [99],
                }
            ],
        },
        "output_dir": str(scratch / "best"),
        "cache_dir": str(scratch / "cache"),
        "log_severity_level": 2,
    }


def _data(name: str, folder: str, *, one: bool = True) -> dict[str, Any]:
    rows = {"type": _ROWS, "params": {"folder": folder, "one": one}}
    return {"name": name, "type": "DummyDataContainer", "load_dataset_config": rows}


_WHOLE = {"quant_preprocess": True, "reduce_range": False}
_NARROWED = {**_WHOLE, "calibrate_method": "MinMax"}
"""What is not searched over. A point of the space is drawn as likely as any other: with all that Olive can vary, static
int8 has 400 points to each one of float32, and the histograms of its other methods fill the memory besides."""

_LATENCY = {
    "name": "latency",
    "type": "latency",
    "data_config": "one",
    "sub_types": [{"name": "p50", "priority": 1, "metric_config": {"warmup_num": 10, "repeat_test_num": _CALLS}}],
}


def _quality(max_drop: float) -> dict[str, Any]:
    """As an accuracy: Olive 0.13 cannot write down a metric of its type `custom`."""
    goal = {"type": "max-degradation", "value": max_drop}
    score = {"name": "accuracy_score", "priority": 2, "metric_config": {"task": "binary"}, "goal": goal}
    return {"name": "quality", "type": "accuracy", "sub_types": [score]}


class _Asked:
    """The other side, which knows the project's metric."""

    def __init__(self, tell: Tell, answers: TextIO) -> None:
        self._tell, self._answers = tell, answers
        self.count = 0

    def score(self, file: str) -> float:
        self.count += 1
        self._tell({"score": file})
        answer = self._answers.readline().strip()
        if not answer:
            raise RuntimeError("the model does not run on the calibration rows")  # Olive goes on with the next one
        return float(answer)


class _Judge(OnnxEvaluator):  # type: ignore[misc]  # olive ships no types
    """Olive's evaluator of ONNX models, whose accuracy is the project's metric."""

    asked: ClassVar[_Asked]

    def _evaluate_accuracy(self, model: Any, metric: Any, *_: Any, **__: Any) -> MetricResult:
        (wanted,) = metric.sub_types
        value = {"value": self.asked.score(str(model.model_path)), "priority": 2, "higher_is_better": True}
        return MetricResult.model_validate({wanted.name: value})


def _rows(folder: str, one: bool) -> _Batches:
    """The calibration batches, or their first row alone."""
    batches = (read_tensors(each) for each in islice(sorted(Path(folder).iterdir()), 1 if one else BATCHES))
    return _Batches([{name: array[:1] if one else array for name, array in batch.items()} for batch in batches])


class _Batches:
    """A data set as Olive (and torch) want one: inputs, and labels that nobody looks at."""

    def __init__(self, batches: list[dict[str, np.ndarray]]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, at: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        return self._batches[at], np.zeros(1)


def _updated(node: FootprintNode, **changes: Any) -> None:
    """Olive 0.13's own does not know its field's name: every model that begins like an earlier one would be lost."""
    for name, value in changes.items():
        setattr(node, "model_config_data" if name == "model_config" else name, value)


_CHOSEN = {
    "precision": "weights",
    "activation_type": "activations",
    "per_channel": "per channel",
    "quant_format": "format",
}
"""What a quantizing pass searched over, and what it is called here."""


_PASSES = {
    "onnxpeepholeoptimizer": "graph rewriting",
    "orttransformersoptimization": "transformer fusions",
    "onnxdynamicquantization": "dynamic int8",
    "onnxstaticquantization": "static int8",
    "ortsessionparamstuning": "session tuning",
}


def _passes(footprint: Any, model: str) -> list[dict[str, str]]:
    """The passes that led to a model, the first one first."""
    nodes = [footprint.nodes[each] for each in footprint.trace_back_run_history(model)]
    made = []
    for node in reversed(nodes):
        if node.from_pass:
            told = {name: (node.pass_run_config or {}).get(key) for key, name in _CHOSEN.items()}
            one = {"pass": _PASSES[node.from_pass.lower()], **_plain(told)}
            if one not in made:  # the one that stands for no quantization comes twice
                made.append(one)
    return made


def _plain(values: dict[str, Any]) -> dict[str, str]:
    """As texts, without what was left open."""
    return {name: str(getattr(value, "value", value)) for name, value in values.items() if value is not None}


COMMANDS = {"search": search}
