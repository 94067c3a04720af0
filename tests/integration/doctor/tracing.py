"""Graphs to plant faults in: traced by torch's legacy exporter, which is quick and freezes whatever Python does."""

from pathlib import Path

import onnx

from onnxyard.diagnosis.doctor import Subject, look
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import sidecar
from onnxyard.sources.source import Exported
from onnxyard.sources.torch.exporting import classes_of
from onnxyard.sources.torch.legacy import traced

HERE = Path(__file__).parent
_LINES = (HERE / "planted.py").read_text().splitlines()


def untouched(model):
    """Plants nothing."""


def line(mark):
    """`planted.py:LINE` of the line that says `# here: MARK`."""
    return f"planted.py:{next(at for at, text in enumerate(_LINES, 1) if text.endswith(f'# here: {mark}'))}"


def findings(folder, module, example, *, change=untouched, opset=17, **asked):
    """What the doctor finds in the traced graph after `change` was made to it."""
    subject = Subject.of_module(module, example, opset=opset, **{"roots": (HERE,), **asked})
    with traced(subject.torch.module, subject.asked, asked.get("traced", opset), subject.torch.source) as (_, trace):
        document = sidecar(trace.model, trace.origins, classes_of(module), exporter="planted")
        change(trace.model)
        save_model(trace.model, folder / "model.onnx")
    return look(subject, Exported("planted", document), folder / "model.onnx")


def grave(found):
    """Codes without the notes."""
    return [finding.code for finding in found if finding.severity != "note"]


def spots(found, code):
    """Module and line of every finding of a code."""
    return [(finding.module, finding.source) for finding in found if finding.code == code]


def findings_of_export(folder, module, example, *, change=untouched, **asked):
    """The same for what torch's newer exporter gives, which notes where every tensor came from."""
    subject = Subject.of_module(module, example, **{"roots": (HERE,), **asked})
    exported = next(iter(subject.ways(subject.asked))).make(folder / "model.onnx")
    model = onnx.load(folder / "model.onnx")
    change(model)
    save_model(model, folder / "model.onnx")
    return look(subject, exported, folder / "model.onnx")
