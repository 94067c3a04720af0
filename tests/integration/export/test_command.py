"""`onnxyard export`: a folder that is whole or not there, and the matrix of opsets."""

import json

import onnx
import pytest
from onnx import helper
from small_project import write_project
from typer.testing import CliRunner

import graphs
from onnxyard.cli.export_folder import draft_of, write_manifest
from onnxyard.cli.export_matrix import parse_opsets
from onnxyard.cli.main import build
from onnxyard.errors import ConflictError, InvalidRequestError, NotFoundError, UnsupportedModelError
from onnxyard.lifecycle.artifact import Artifact


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all of them: the small project is trained once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return root


@pytest.fixture
def command(home):
    def run(*arguments, wants=0):
        done = CliRunner().invoke(build(), ["export", *map(str, arguments), "--home", str(home)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == wants, done.output
        return done

    return run


def unary(path, operator, **attributes):
    return graphs.write(
        path,
        [helper.make_node(operator, ["features"], ["scores"], **attributes)],
        [graphs.tensor("features", graphs.FLOAT, ["batch", 4])],
        [graphs.tensor("scores", graphs.FLOAT, ["batch", 4])],
    )


@pytest.fixture
def relu(tmp_path):
    return unary(tmp_path / "relu.onnx", "Relu")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_project_becomes_a_folder_with_its_digests(command, project, tmp_path):
    document = json.loads(command(project, "--output", tmp_path / "out", "--json").stdout)
    assert (document["opset"], document["ir_version"], document["smallest_onnxruntime"]) == (20, 10, "1.18")
    assert document["exporter"].startswith("torch.onnx dynamo")
    assert document["max_error"] < 1e-4
    assert document["remedies"] == []
    assert names(tmp_path / "out") == ["export.json", "model.onnx", "sidecar.json"]
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert written["files"] == document["files"]
    (tmp_path / "out" / "export.json").unlink()
    assert Artifact.of_folder(tmp_path / "out").digest == document["digest"]
    assert names(tmp_path) == ["out"]


def test_a_matrix_of_a_project(command, project):
    document = json.loads(command(project, "--opsets", "6,13,18", "--json").stdout)
    assert [(row["opset"], row["loads"]) for row in document["rows"]] == [(6, False), (13, True), (18, True)]
    refused, legacy, dynamo = document["rows"]
    assert "opset 6" in refused["notes"]
    assert (legacy["exporter"].split()[1], legacy["smallest_onnxruntime"]) == ("legacy", "1.6")
    assert dynamo["exporter"].split()[1] == "dynamo"


def test_a_file_is_taken_as_it_is(command, relu, tmp_path):
    said = command(relu, "--output", tmp_path / "out").stdout
    assert (tmp_path / "out" / "model.onnx").read_bytes() == relu.read_bytes()
    assert "finished file" in said
    assert "1.18 and newer" in said


def test_a_file_brings_its_data_along(command, tmp_path):
    file, _ = graphs.linear(tmp_path / "model.onnx", external=True)
    command(file, "--output", tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx.data").read_bytes() == (tmp_path / "model.onnx.data").read_bytes()


def test_a_file_is_converted_and_compared_with_itself(command, relu, tmp_path):
    command(relu, "--opset", 15, "--output", tmp_path / "out")
    converted = onnx.load(tmp_path / "out" / "model.onnx")
    assert (converted.opset_import[0].version, converted.ir_version) == (15, 8)


def test_a_converter_that_changes_the_answers_is_caught(command, relu, tmp_path, monkeypatch):
    def convert(model, opset):
        model.graph.node[0].op_type = "Abs"
        model.opset_import[0].version = opset
        return model

    monkeypatch.setattr("onnxyard.sources.detours.convert", convert)
    monkeypatch.setattr("onnxyard.sources.detours.relabel", lambda model, opset: (convert(model, opset), ()))
    with pytest.raises(UnsupportedModelError, match="converted graph differs from the file by"):
        command(relu, "--opset", 15, "--output", tmp_path / "out")
    assert names(tmp_path) == ["relu.onnx"]


def test_a_converter_that_returns_the_graph_unchanged_is_caught(command, relu, tmp_path, monkeypatch):
    monkeypatch.setattr("onnxyard.sources.detours.convert", lambda model, _opset: model)
    monkeypatch.setattr("onnxyard.sources.detours.relabel", lambda model, _opset: (model, ()))
    with pytest.raises(UnsupportedModelError, match="opset 20 instead of 15"):
        command(relu, "--opset", 15, "--output", tmp_path / "out")


def test_where_the_converter_has_no_way_operators_of_the_same_form_are_relabelled(command, relu, tmp_path):
    document = json.loads(command(relu, "--opset", 11, "--output", tmp_path / "out", "--json").stdout)
    assert (document["opset"], document["max_error"]) == (11, 0)
    assert document["exporter"].endswith(", relabelled")
    assert document["remedies"] == ["Relu read in the version of opset 11, which has the same form."]


def test_the_same_form_with_another_meaning_is_caught(command, tmp_path):
    softmax = unary(tmp_path / "softmax.onnx", "Softmax", axis=0)  # up to opset 12 it takes all axes from this one on
    with pytest.raises(UnsupportedModelError):
        command(softmax, "--opset", 11, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_matrix_of_a_file_says_why_not(command, tmp_path):
    said = command(unary(tmp_path / "gelu.onnx", "Gelu"), "--opsets", "19..21").stdout
    table, notes = (part.splitlines() for part in said.split("\n\n"))
    assert [line.split()[0] for line in table] == ["opset", "19", "20", "21"]
    assert [" no " in line for line in table[1:]] == [True, False, False]
    assert notes[0].startswith("19 ")
    assert "Gelu" in "".join(notes)


def test_a_matrix_without_a_row_that_holds_ends_with_seven(command, tmp_path):
    gelu = unary(tmp_path / "gelu.onnx", "Gelu")
    rows = json.loads(command(gelu, "--opsets", "18..19", "--json", wants=7).stdout)["rows"]
    assert ["Gelu" in row["notes"] for row in rows] == [True, True]


def test_an_earlier_export_is_replaced_and_nothing_else_is(command, relu, tmp_path):
    out = tmp_path / "out"
    command(relu, "--output", out)
    command(relu, "--opset", 15, "--output", out)
    assert onnx.load(out / "model.onnx").opset_import[0].version == 15
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ConflictError, match="no export left there"):
        command(relu, "--output", out)
    assert (out / "notes.txt").read_text() == "mine"
    assert onnx.load(out / "model.onnx").opset_import[0].version == 15


def test_a_failed_export_leaves_an_earlier_one_as_it_is(command, tmp_path):
    out, gelu = tmp_path / "out", unary(tmp_path / "gelu.onnx", "Gelu")
    command(gelu, "--output", out)
    before = Artifact.of_folder(out).digest
    with pytest.raises(UnsupportedModelError, match="Gelu"):
        command(gelu, "--opset", 12, "--output", out)
    assert Artifact.of_folder(out).digest == before
    assert names(tmp_path) == ["gelu.onnx", "out"]


def test_a_foreign_folder_that_fills_up_meanwhile_is_not_overwritten(tmp_path):
    def export():
        with draft_of(tmp_path / "out") as draft:
            draft.mkdir()
            (draft / "model.onnx").write_text("new")
            write_manifest(draft, {})
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "mine").write_text("mine")

    with pytest.raises(ConflictError):
        export()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


def test_nowhere_and_contradictions_are_told(command, relu, tmp_path):
    with pytest.raises(NotFoundError):
        command(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match="no such file"):
        command(tmp_path / "nowhere.onnx")
    with pytest.raises(InvalidRequestError, match="only looks"):
        command(relu, "--opsets", "13", "--opset", "13")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequestError, match="file of this name"):
        command(relu, "--output", tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "opsets"),
    [("17", (17,)), ("11..14", (11, 12, 13, 14)), ("13, 11,12..13", (11, 12, 13)), ("27..27", (27,))],
)
def test_opsets_are_read(text, opsets):
    assert parse_opsets(text) == opsets


@pytest.mark.parametrize("text", ["", "x", "11..", "..12", "14..11", "11-12", "1..100000"])
def test_other_texts_are_refused(text):
    with pytest.raises(InvalidRequestError, match="opset"):
        parse_opsets(text)
