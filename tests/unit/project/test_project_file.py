import pytest

from onnxyard.errors import NotFoundError, ProjectFileError
from onnxyard.project.project import load_project
from onnxyard.project.reading import read_project_file


def problems(root):
    with pytest.raises(ProjectFileError) as caught:
        read_project_file(root)
    return caught.value.facts["problems"]


def test_a_short_file_is_filled_with_defaults(write):
    file = read_project_file(write())
    assert file.export.opset == 20
    assert file.optimize.metric == "score"
    assert file.optimize.recipes is None
    assert (file.deploy.endpoint, file.deploy.target) == ("toy", "cpu")
    assert file.targets["cpu"].ways == (("onnxruntime", "CPUExecutionProvider"),)


EVERY_MISTAKE = """\
[project]
name = "Toy"
modul = "toy.py"
outputs = ["y", 3]
processing = "procesing.py"

[export]
opset = "twenty"

[optimize]
metric = "scor"
recipes = ["int8-qqdq"]

[targets.cpu]
provider = "CPUExecutionProvide"
thread = 1

[targets.vino]
runtime = "openvino"
provider = "CPUExecutionProvider"

[gates]
p99_ms = nan
max_flips = 2

[gates.quality]
score = "0.9"

[gates.max_drop]
f1 = 0.1

[deploy]
target = "gpu"

[monitr]
"""


def test_every_mistake_is_reported_at_once(write):
    assert problems(write(file=EVERY_MISTAKE, processing_py="")) == [
        "onnxyard.toml:1: [project] module: missing; expected a file's path relative to the project's folder",
        "onnxyard.toml:2: [project] name: expected a name of lower-case letters, digits and hyphens, got 'Toy'",
        "onnxyard.toml:3: [project] modul: unknown key; did you mean 'module'?",
        "onnxyard.toml:4: [project] outputs[1]: expected a text that is not empty, got 3",
        "onnxyard.toml:5: [project] processing: there is no file 'procesing.py'; did you mean 'processing.py'?",
        "onnxyard.toml:8: [export] opset: expected an integer between 7 and 27, got 'twenty'",
        "onnxyard.toml:11: [optimize] metric: 'scor' has no threshold in [gates.quality]; did you mean 'score'?",
        "onnxyard.toml:12: [optimize] recipes: 'fp32' must be among them: the others are compared with it",
        "onnxyard.toml:12: [optimize] recipes[0]: there is no recipe 'int8-qqdq'; did you mean 'int8-qdq'?",
        (
            "onnxyard.toml:15: [targets.cpu] provider: onnxruntime has no provider 'CPUExecutionProvide'; "
            "did you mean 'CPUExecutionProvider'?"
        ),
        "onnxyard.toml:16: [targets.cpu] thread: unknown key; did you mean 'threads'?",
        (
            "onnxyard.toml:20: [targets.vino] provider: openvino has no provider 'CPUExecutionProvider'; "
            "there is AUTO, CPU, GPU, NPU"
        ),
        "onnxyard.toml:23: [gates] p99_ms: expected a number above 0, got nan",
        "onnxyard.toml:24: [gates] max_flips: expected a number between 0 and 1, got 2",
        "onnxyard.toml:27: [gates.quality] score: expected a finite number, got '0.9'",
        "onnxyard.toml:30: [gates.max_drop] f1: 'f1' has no threshold in [gates.quality]; there is score",
        "onnxyard.toml:33: [deploy] target: there is no [targets.gpu]; did you mean 'cpu'?",
        "onnxyard.toml:35: [monitr]: unknown section; did you mean 'monitor'?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["onnxyard.toml:1: [project]: missing; expected a section [project]"]),
        ("[project]\nname = \n", ["onnxyard.toml:2: invalid value, in column 8"]),
        ("[project]\nname = 'a'\nname = 'b'\n", ["onnxyard.toml:3: cannot overwrite a value, in column 11"]),
        ("[project]\nx = [1,\n2", ["onnxyard.toml:3: unclosed array, at the end of the file"]),
        ("project = 3\n", ["onnxyard.toml:1: [project]: expected a section [project], got 3"]),
        (
            "[export]\nopset = true\n",
            ["onnxyard.toml:2: [export] opset: expected an integer between 7 and 27, got true"],
        ),
        ("[targets]\ncpu = 1\n", ["onnxyard.toml:2: [targets] cpu: expected a section [targets.cpu], got 1"]),
        (
            "[gates]\nquality = {}\n",
            ["onnxyard.toml:2: [gates] quality: expected a table of numbers by metric, got a table"],
        ),
        (
            "[project]\nonnx = '../x'\n",
            ["onnxyard.toml:2: [project] onnx: '../x' must lie inside the project's folder"],
        ),
        (
            "[project]\ncolumns.a = ['x', 'x']\n",
            ["onnxyard.toml:2: [project.columns] a: 'x' stands there more than once"],
        ),
        (
            "[project]\nframework = 'jax'\n[export.translations]\n'a::b' = 'c.py:d'\n",
            ["onnxyard.toml:3: [export] translations: only PyTorch's exporter takes translations"],
        ),
        (
            "[export.translations]\n'a::b' = 'form.py:b'\n'a::c' = '../form.py:c'\n",
            [
                "onnxyard.toml:2: [export.translations] a::b: there is no file 'form.py'; did you mean 'toy.py'?",
                "onnxyard.toml:3: [export.translations] a::c: '../form.py' must lie inside the project's folder",
            ],
        ),
        (
            "[targets.cpu]\nonnxruntime = 1.17\n",
            ['onnxyard.toml:2: [targets.cpu] onnxruntime: expected a release as "1.17", got 1.17'],
        ),
        ("[project]\nfiles = ['*.csv']\n", ["onnxyard.toml:2: [project] files[0]: nothing matches '*.csv'"]),
    ],
)
def test_single_mistakes(write, text, expected):
    assert set(expected) <= set(problems(write(file=text)))


def test_text_that_is_not_utf8_is_placed(write):
    root = write()
    (root / "onnxyard.toml").write_bytes(b"[project]\nname = '\xff'\n")
    assert problems(root) == ["onnxyard.toml:2: this is no UTF-8 text"]


def test_no_project_names_what_to_do(tmp_path):
    with pytest.raises(NotFoundError, match="onnxyard init"):
        load_project(tmp_path / "nowhere")


def test_the_code_digest_follows_code_and_named_files_only(write):
    root = write(layers_py="x = 1\n", data_csv="1")
    file = (root / "onnxyard.toml").read_text()
    (root / "onnxyard.toml").write_text(file.replace("[gates", 'files = ["*.csv"]\n[gates', 1))
    before = load_project(root).code_digest
    for folder in (".onnxyard", "__pycache__", "env"):
        (root / folder).mkdir()
        (root / folder / "x.py").write_text("")
    (root / "env" / "pyvenv.cfg").write_text("")
    (root / "notes.txt").write_text("")
    assert load_project(root).code_digest == before
    (root / "data.csv").write_text("2")
    changed = load_project(root).code_digest
    (root / "layers.py").write_text("x = 2\n")
    assert len({before, changed, load_project(root).code_digest}) == 3


def test_sections_are_json_and_say_what_packages_matter(write):
    project = load_project(write())
    assert project.sections("export") == {"export": {"opset": 20, "translations": {}}}
    assert project.packages == ("torch",)
    assert project.config == {"seed": 0}
    assert project.git_commit is None or len(project.git_commit) >= 40
