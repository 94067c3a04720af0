"""What the doctor can find: every code with its severity, why it matters and what to do about it. One place.

Codes are stable: people search for them and scripts switch on them. `docs/doctor.md` is held equal to this table by a
test.
"""

from __future__ import annotations

from onnxyard.diagnosis.code import BLOCKED, NOTE, WARNING, Code
from onnxyard.diagnosis.file_codes import FILE_CODES

# Before export: what blocks it.
UNSUPPORTED_OPERATOR = Code(
    "unsupported-operator",
    BLOCKED,
    "An operator has no ONNX form that any exporter or our catalogue knows.",
    "No graph can be made while one operator has no translation.",
    "Use another operation there, or give an onnxscript function for it in [export.translations].",
)
CUSTOM_OPERATOR = Code(
    "custom-operator",
    BLOCKED,
    "A custom operator has no translation.",
    "ONNX does not know operators of your own; somebody has to say what they compute.",
    'Give an onnxscript function for it: [export.translations] "LIBRARY::OPERATOR" = "translations.py:FUNCTION".',
)
DATA_DEPENDENT_BRANCH = Code(
    "data-dependent-branch",
    BLOCKED,
    "Python's control flow, or a number that Python holds, depends on the values of a tensor.",
    "A graph holds one path; Python's decision is made while exporting, and never again.",
    "Use torch.where for values and torch.cond for branches, and tensors in place of float(x) or x.item().",
)
UNSUPPORTED_OUTPUT = Code(
    "unsupported-output",
    BLOCKED,
    "The model gives something that a graph cannot give.",
    "Outputs of a graph are tensors with a type that the runtime and the protocol know.",
    "Give tensors only: torch.view_as_real for complex ones, a mask beside the values for optional ones.",
)
OPSET_UNREACHABLE = Code(
    "opset-unreachable",
    BLOCKED,
    "No way leads to the opset that was asked for.",
    "A graph of another opset may not load where it is to run.",
    "Ask for an opset that the doctor names.",
)
EXPORT_FAILED = Code(
    "export-failed",
    BLOCKED,
    "No way to the graph passes the checks.",
    "Without a graph that answers like the model there is nothing to deploy.",
    "Mend what the message names.",
)

# After export: what works, and answers or runs other than its author expects.
WRONG_OPSET = Code(
    "wrong-opset",
    WARNING,
    "The graph has another opset than the one that was asked for.",
    "The opset decides which runtimes can load the graph and what its operators mean.",
    "Export again at the wanted opset.",
)
BAKED_AXIS = Code(
    "baked-axis",
    WARNING,
    "An axis that is declared dynamic is fixed to the example's length inside the graph.",
    "The graph fails or answers wrongly as soon as a batch or a sequence has another length.",
    "Take the length from the tensor (x.shape[0], -1) instead of a number, and export with two rows or more.",
)
RESIZE_DIFFERS = Code(
    "resize-differs",
    WARNING,
    "A resize or grid sampling computes other values than the framework's.",
    "Formats disagree about corners, rounding and antialiasing; accuracy drops without an error message.",
    "Use a mode both define alike (bilinear, align_corners=False, antialias=False), or sizes instead of scales.",
)
TRAINING_MODE = Code(
    "training-mode",
    WARNING,
    "Dropout or batch normalization is still in training mode.",
    "Answers are random, or depend on what else is in the batch.",
    "Leave eval() alone in your module, and call functional.dropout with training=self.training.",
)
UNSEEDED_RANDOMNESS = Code(
    "unseeded-randomness",
    WARNING,
    "The graph draws random numbers.",
    "The same input gets another answer each time; nothing can be compared or reproduced.",
    "Take the noise as an input, or leave it out at inference (if self.training).",
)
UNSTEADY_MODEL = Code(
    "unsteady-model",
    WARNING,
    "The model answers the same question otherwise each time; the graph cannot.",
    "What forward remembers, or draws outside of torch, is frozen to the value it had while exporting.",
    "Take the state as an input and give it as an output; draw random numbers in training only (if self.training).",
)
NARROWED_TYPE = Code(
    "narrowed-type",
    WARNING,
    "Values are computed in a narrower type than the framework's.",
    "Large integers wrap around and small differences vanish without an error message.",
    "Cast where you can see it, and train with the type that is deployed.",
)
FROZEN_BRANCH = Code(
    "frozen-branch",
    WARNING,
    "A Python branch or loop was frozen to the way the example took.",
    "Inputs that would take the other way get the wrong answer without an error message.",
    "Use torch.where, torch.cond or masking, so that both ways are in the graph.",
)
FOLDED_CONSTANT = Code(
    "folded-constant",
    WARNING,
    "A value computed from the example input became a constant of the graph.",
    "The output does not follow the input as the model's does.",
    "Keep it a tensor: no .item(), float(), int() or .numpy() on what comes from the input.",
)
NONFINITE_GRAPH = Code(
    "nonfinite-graph",
    WARNING,
    "The graph gives NaN or infinity where the framework gives numbers.",
    "One odd input spoils an answer that the framework would have given.",
    "Clamp before exp, log, division and square roots.",
)
OUTPUTS_SWAPPED = Code(
    "outputs-swapped",
    WARNING,
    "The graph's outputs come in another order than the model's.",
    "Every client reads one output as the other.",
    "Order [project] outputs as forward gives them.",
)
OUTPUTS_ALIASED = Code(
    "outputs-aliased",
    WARNING,
    "Two outputs of the graph are one tensor, where the model gives two different ones.",
    "One of the answers is lost.",
    "Do not change a tensor in place after it was made an output; clone it.",
)
TIED_WEIGHTS_SPLIT = Code(
    "tied-weights-split",
    WARNING,
    "A weight that modules share is stored more than once.",
    "The file and the memory are larger than they need be, and a later edit changes one copy only.",
    "Nothing, for a small one: the exporter transposed it beforehand. Else ask for it in one orientation only.",
)
PROCESSING_SKEW = Code(
    "processing-skew",
    WARNING,
    "The model was trained on other values than it will be given.",
    "Training and serving see different inputs; quality drops in production only.",
    "Do in preprocess (or in the module) what train does to its inputs.",
)
OUTPUT_DIFFERS = Code(
    "output-differs",
    WARNING,
    "The graph's answers differ from the framework's by more than floating-point noise.",
    "The deployed model is not the model that was trained.",
    "Look at the place that is named: onnxyard blame shows what goes in and comes out.",
)

# Good to know.
REMEDY_APPLIED = Code(
    "remedy-applied",
    NOTE,
    "The plain export did not hold; another way did, and was proven.",
    "The graph is not what the framework's exporter alone would give.",
    "Nothing to do.",
)
NONFINITE_BOTH = Code(
    "nonfinite-both",
    NOTE,
    "Model and graph alike give NaN or infinity for an edge value.",
    "Whoever sends such an input gets an answer that is no number.",
    "Clamp, or refuse such inputs in preprocess.",
)
OUTPUTS_EQUAL = Code(
    "outputs-equal",
    NOTE,
    "The model gives one tensor under two names.",
    "It is computed once and sent twice.",
    "Leave one of them out.",
)
UNDECLARED_AXIS = Code(
    "undeclared-axis",
    NOTE,
    "The model takes other lengths of an axis; the graph takes the example's alone.",
    "Whoever sends a shorter or longer input is refused.",
    "Name the axis in [project.axes].",
)
RESIZE_SIZE_BOUND = Code(
    "resize-size-bound",
    NOTE,
    "A resize matches the framework at this size, and would not at others.",
    "It shows as soon as the model is exported for another input size.",
    "Export anew for another size, and ask the doctor again.",
)
PROCESSING_OUTSIDE = Code(
    "processing-outside",
    NOTE,
    "Pre- or postprocessing stays outside the graph.",
    "It travels with the version as Python, so only what runs Python answers raw inputs.",
    "Nothing to do while our serving runs it.",
)

CODES: dict[str, Code] = {
    code.name: code
    for code in (
        UNSUPPORTED_OPERATOR,
        CUSTOM_OPERATOR,
        DATA_DEPENDENT_BRANCH,
        UNSUPPORTED_OUTPUT,
        OPSET_UNREACHABLE,
        EXPORT_FAILED,
        WRONG_OPSET,
        BAKED_AXIS,
        RESIZE_DIFFERS,
        TRAINING_MODE,
        UNSEEDED_RANDOMNESS,
        UNSTEADY_MODEL,
        NARROWED_TYPE,
        FROZEN_BRANCH,
        FOLDED_CONSTANT,
        NONFINITE_GRAPH,
        OUTPUTS_SWAPPED,
        OUTPUTS_ALIASED,
        TIED_WEIGHTS_SPLIT,
        PROCESSING_SKEW,
        OUTPUT_DIFFERS,
        REMEDY_APPLIED,
        NONFINITE_BOTH,
        OUTPUTS_EQUAL,
        UNDECLARED_AXIS,
        RESIZE_SIZE_BOUND,
        PROCESSING_OUTSIDE,
        *FILE_CODES,
    )
}
"""Every code by its name, in the order the documentation tells them."""
