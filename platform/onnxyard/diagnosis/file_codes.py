"""What the doctor can find in a ready .onnx file: these rows are part of the table in `onnxyard.diagnosis.codes`."""

from __future__ import annotations

from onnxyard.diagnosis.code import BLOCKED, NOTE, WARNING, Code

# What keeps a file away (`onnxyard.sources.admission` finds these before anything opens it).
NOT_ONNX = Code(
    "not-onnx",
    BLOCKED,
    "The file is something else than an ONNX model.",
    "Only an ONNX graph can be taken further.",
    "Give an .onnx file, or the folder of a project.",
)
CORRUPT_FILE = Code(
    "corrupt-file",
    BLOCKED,
    "The file is cut short or damaged.",
    "What is left of it is not the model that was meant.",
    "Export or download the model again.",
)
DIGEST_DIFFERS = Code(
    "digest-differs",
    BLOCKED,
    "The file is not the one whose digest the project states.",
    "Another file, or one flipped bit, answers otherwise without an error message.",
    "Bring the file that was meant, or state the new digest in [project] onnx_sha256.",
)
UNKNOWN_DOMAIN = Code(
    "unknown-domain",
    BLOCKED,
    "The graph uses operators of a domain that nothing here knows.",
    "No runtime can compute an operator that it has no kernel for.",
    "Export the model with standard operators, or with the operator as a function of the model.",
)
EXTERNAL_DATA = Code(
    "external-data",
    BLOCKED,
    "The weights are said to lie where they may not, or do not, lie.",
    "A runtime follows such a path: a model could read any file of the machine into its answers.",
    "Bring the model and its data files in one folder, as plain files.",
)
RESOURCE_BOMB = Code(
    "resource-bomb",
    BLOCKED,
    "The file asks for more memory, nodes or time than anything may have.",
    "Whoever loads it runs out of memory or never comes back.",
    "Lower the lengths that are named, or export the model again.",
)
ENDLESS_LOOP = Code(
    "endless-loop",
    BLOCKED,
    "A loop of the graph never ends.",
    "Whoever runs it never gets an answer.",
    "Give the loop a trip count, or a condition that its body can turn false.",
)
CRASHES_RUNTIME = Code(
    "crashes-runtime",
    BLOCKED,
    "The file breaks the process that opens it.",
    "It would take a server down.",
    "Do not open it elsewhere; export or download the model again.",
)
NOT_LOADABLE = Code(
    "not-loadable",
    BLOCKED,
    "ONNX Runtime does not load the model.",
    "What does not load cannot serve.",
    "Mend what the message names.",
)
MISSING_KERNEL = Code(
    "missing-kernel",
    BLOCKED,
    "ONNX Runtime's CPU provider has no kernel for an operator with this type.",
    "The graph is valid and still does not load, as is common for float16 and bfloat16.",
    "Cast around the operator, or run the model on a provider that has it.",
)
UNSUPPORTED_INPUT = Code(
    "unsupported-input",
    BLOCKED,
    "The model takes something else than tensors.",
    "Inputs of a served model are tensors with a type that the protocol knows.",
    "Take tensors: one input per member of a sequence, a mask beside an optional value.",
)

# What works, and runs or answers other than its author expects.
ABOVE_CEILING = Code(
    "above-ceiling",
    WARNING,
    "The ONNX Runtime that is to run the model is too old for it.",
    "It refuses the file when it is deployed there.",
    "Export at the opset that the release loads.",
)
RUNTIME_BOUND = Code(
    "runtime-bound",
    WARNING,
    "The graph uses operators that one runtime alone knows.",
    "It cannot be taken to another runtime, converter or, for some, processor.",
    "Keep the graph from before that runtime's optimizer saved it, or stay with the runtime.",
)
OPTIMIZATION_DIFFERS = Code(
    "optimization-differs",
    WARNING,
    "The graph answers differently once ONNX Runtime has optimized it.",
    "Sessions are optimized by default: production answers other than the debugger.",
    "Export the model again, or set the graph optimization level of the session, and report it to ONNX Runtime.",
)
DEAD_WEIGHTS = Code(
    "dead-weights",
    WARNING,
    "The file holds weights that nothing uses.",
    "They are shipped, loaded and kept in memory for nothing.",
    "Remove them.",
)
OVERSIZE_CONSTANT = Code(
    "oversize-constant",
    WARNING,
    "A constant repeats a small part of itself many times.",
    "An expanded or constant-folded tensor makes the file and the memory large.",
    "Broadcast the small part, or keep the Expand in the graph when exporting.",
)
NONFINITE_WEIGHTS = Code(
    "nonfinite-weights",
    WARNING,
    "A weight holds NaN or infinity.",
    "Every answer that depends on it is spoiled.",
    "Train again: it diverged.",
)
BATCH_DEPENDENT = Code(
    "batch-dependent",
    WARNING,
    "A row's answer depends on the other rows of the batch.",
    "Servers put requests of several callers into one batch: one caller's answer then depends on another's input.",
    "Export the model after model.eval(): batch normalization in training mode is the usual cause.",
)
FIXED_BATCH = Code(
    "fixed-batch",
    WARNING,
    "The model takes batches of one length only.",
    "Requests cannot be batched, and Onnxyard's stages need a free batch axis.",
    'Export it with a dynamic first axis, as torch.onnx.export(..., dynamic_shapes={"x": {0: "batch"}}) does.',
)

# Good to know.
RELEASE_NEEDED = Code(
    "release-needed",
    NOTE,
    "Which ONNX Runtime releases load the model.",
    "An older release refuses the file.",
    "Nothing to do while yours is at least that one.",
)
DEAD_NODES = Code(
    "dead-nodes",
    NOTE,
    "The graph computes what no output depends on.",
    "Runtimes that do not remove it lose time; now and then an output was forgotten.",
    "Remove them, or make what they compute an output.",
)
DUPLICATE_WEIGHTS = Code(
    "duplicate-weights",
    NOTE,
    "Weights of the same values are stored more than once.",
    "A weight that modules share was stored once per use: file and memory are larger than they need be.",
    "Merge them: one initializer may be the input of several nodes.",
)
UNNAMED_AXIS = Code(
    "unnamed-axis",
    NOTE,
    "A dynamic axis has no name.",
    "Nobody can tell which axes must have the same length.",
    "Name it when exporting.",
)
FOREIGN_NOTES = Code(
    "foreign-notes",
    NOTE,
    "The file carries an exporter's notes.",
    "They may name folders of the machine that made it, and make the same model another file.",
    "Drop them before you publish the file.",
)
UNPINNED = Code(
    "unpinned",
    NOTE,
    "Nothing says which digest the file must have.",
    "A flipped bit that still loads changes answers and cannot be seen.",
    "State the digest in [project] onnx_sha256.",
)
UNFINISHED_INSPECTION = Code(
    "unfinished-inspection",
    NOTE,
    "A part of the inspection was given up.",
    "What it would have found is not known.",
    "Nothing to do: the model may be large, or the machine busy.",
)

FILE_CODES = (
    NOT_ONNX,
    CORRUPT_FILE,
    DIGEST_DIFFERS,
    UNKNOWN_DOMAIN,
    EXTERNAL_DATA,
    RESOURCE_BOMB,
    ENDLESS_LOOP,
    CRASHES_RUNTIME,
    NOT_LOADABLE,
    MISSING_KERNEL,
    UNSUPPORTED_INPUT,
    ABOVE_CEILING,
    RUNTIME_BOUND,
    OPTIMIZATION_DIFFERS,
    DEAD_WEIGHTS,
    OVERSIZE_CONSTANT,
    NONFINITE_WEIGHTS,
    BATCH_DEPENDENT,
    FIXED_BATCH,
    RELEASE_NEEDED,
    DEAD_NODES,
    DUPLICATE_WEIGHTS,
    UNNAMED_AXIS,
    FOREIGN_NOTES,
    UNPINNED,
    UNFINISHED_INSPECTION,
)
