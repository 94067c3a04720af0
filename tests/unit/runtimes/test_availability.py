"""What runs here, and what is missing for the rest, in the words with which a run is refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import graphs
from onnxyard.cli import targets
from onnxyard.cli.exits import exit_code
from onnxyard.errors import InvalidRequestError, MissingExtraError, OnnxyardError, UnsupportedModelError
from onnxyard.project.file import PROVIDERS
from onnxyard.runtimes import availability as room
from onnxyard.runtimes.availability import availability, lack_of, require
from onnxyard.runtimes.providers import built_in, nvidia
from onnxyard.runtimes.providers.lack import Lack
from onnxyard.runtimes.runtime import runtime_named, toolchain_of

PAIRS = [(runtime, provider) for runtime, providers in PROVIDERS.items() for provider in providers]
NOT_INSTALLED = Lack("The toolchain is not installed.", "Install it.", {"toolchain": "cuda"})


def nothing_lacks(_name: str) -> None:
    return None


def test_every_pair_that_a_target_may_name_is_ready_or_says_what_is_missing():
    found = availability(nothing_lacks)
    assert [(each.runtime, each.provider) for each in found] == PAIRS
    for each in found:
        if each.lack is None:
            assert each.precisions
            assert each.devices
            assert set(each.accelerated) <= set(each.precisions)
            assert each.version or each.toolchain
        else:
            assert each.lack.detail.endswith(".")
            assert each.lack.remedy
            assert (each.precisions, each.devices) == ((), ())
    ready = {(each.runtime, each.provider) for each in found if each.lack is None}
    assert {("onnxruntime", "CPUExecutionProvider"), ("openvino", "CPU"), ("iree", "llvm-cpu")} <= ready


@pytest.mark.parametrize(("runtime", "provider"), [pair for pair in PAIRS if pair[0] in {"onnxruntime", "openvino"}])
def test_a_run_is_refused_in_the_same_words(tmp_path, runtime, provider):
    file, weights = graphs.linear(tmp_path / "model.onnx")
    lack = lack_of(runtime, provider)
    if lack is None:
        require(runtime, provider)
        answer = (
            runtime_named(runtime).load(file, provider=provider, threads=1).run({"features": np.eye(4, dtype="f4")})
        )
        np.testing.assert_allclose(answer["scores"], weights, atol=2e-2)
        return
    for refused in (
        lambda: runtime_named(runtime).load(file, provider=provider, threads=1),
        lambda: require(runtime, provider),
    ):
        with pytest.raises(OnnxyardError) as caught:
            refused()
        assert (caught.value.detail, caught.value.remedy) == (lack.detail, lack.remedy)
        assert exit_code(caught.value) == (3 if lack.facts else 7)


def test_what_is_not_there_at_all_names_what_there_is():
    with pytest.raises(InvalidRequestError, match="no runtime called 'tvm'"):
        require("tvm", "CPU")
    with pytest.raises(UnsupportedModelError, match="no execution provider 'TPU'"):
        require("onnxruntime", "TPU")


@pytest.mark.parametrize(
    ("runtime", "module", "extra"), [("openvino", "openvino", "runtimes"), ("iree", "iree", "iree")]
)
def test_a_runtime_that_is_not_installed_names_its_extra(monkeypatch, runtime, module, extra):
    for name in [each for each in sys.modules if each.split(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    for provider in PROVIDERS[runtime]:
        lack = lack_of(runtime, provider)
        assert lack.remedy == f"Install it with: pip install 'onnxyard[{extra}]'"
        assert lack.facts == {"extra": extra}
    with pytest.raises(MissingExtraError):
        require(runtime, PROVIDERS[runtime][0])


def test_a_gpu_is_asked_after_before_its_toolchain(monkeypatch):
    no_gpu = Lack("No GPU.", "Buy one.")
    asked = []

    def toolchain(name):
        asked.append(name)
        return NOT_INSTALLED

    monkeypatch.setattr(nvidia, "no_gpu", lambda: no_gpu)
    assert lack_of("onnxruntime", "CUDAExecutionProvider", toolchain) == no_gpu
    assert asked == []
    monkeypatch.setattr(nvidia, "no_gpu", lambda: None)
    assert lack_of("onnxruntime", "CUDAExecutionProvider", toolchain) == NOT_INSTALLED
    assert lack_of("onnxruntime", "TensorrtExecutionProvider", nothing_lacks) is None
    assert asked == [toolchain_of("onnxruntime", "CUDAExecutionProvider")] == ["cuda"]
    with pytest.raises(MissingExtraError):
        require("onnxruntime", "CUDAExecutionProvider", toolchain)


def test_this_environments_onnx_runtime_has_no_cuda_even_where_a_gpu_is(tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia, "no_gpu", lambda: None)
    file, _ = graphs.linear(tmp_path / "model.onnx")
    with pytest.raises(MissingExtraError, match="lives in the toolchain 'cuda'") as caught:
        runtime_named("onnxruntime").load(file, provider="CUDAExecutionProvider", threads=1)
    assert caught.value.remedy == "Install it with: onnxyard toolchain install cuda"


@pytest.mark.parametrize(
    ("flags", "precisions", "accelerated"),
    [
        ({"avx2"}, ("fp32", "int8"), ("fp32",)),
        ({"avx512_vnni"}, ("fp32", "int8"), ("fp32", "int8")),
        ({"avx_vnni"}, ("fp32", "int8"), ("fp32", "int8")),
        ({"amx_bf16", "amx_int8"}, ("fp32", "int8", "bf16"), ("fp32", "int8", "bf16")),
        ({"avx512_bf16", "avx512_fp16"}, ("fp32", "int8", "fp16", "bf16"), ("fp32", "fp16", "bf16")),
        (set(), ("fp32", "int8"), ("fp32",)),  # a system that does not tell
    ],
)
def test_precisions_follow_the_processors_instructions(monkeypatch, flags, precisions, accelerated):
    monkeypatch.setattr(room, "cpu_flags", lambda: frozenset(flags))
    found = {(each.runtime, each.provider): each for each in availability(nothing_lacks)}
    assert found["openvino", "CPU"].precisions == precisions
    assert found["openvino", "CPU"].accelerated == accelerated
    # ONNX Runtime's CPU provider computes fp16 in float32 whatever the processor can.
    assert "fp16" not in found["onnxruntime", "CPUExecutionProvider"].accelerated


@pytest.mark.parametrize(
    ("system", "provider", "said"),
    [
        ("Linux", "DmlExecutionProvider", "needs Windows with a DirectX 12 GPU, and this is Linux"),
        ("Windows", "DmlExecutionProvider", "is not in this build of ONNX Runtime"),
        ("Linux", "CoreMLExecutionProvider", "needs macOS, and this is Linux"),
        ("Darwin", "CoreMLExecutionProvider", "is not in this build of ONNX Runtime"),
        ("Darwin", "MIGraphXExecutionProvider", "needs Linux with an AMD GPU and ROCm, and this is Darwin"),
    ],
)
def test_providers_of_other_systems_say_which(monkeypatch, system, provider, said):
    monkeypatch.setattr(built_in.platform, "system", lambda: system)
    lack = lack_of("onnxruntime", provider)
    assert said in lack.detail
    assert lack.remedy


@pytest.fixture
def command():
    app = typer.Typer()
    targets.register(app)
    app.command("other")(lambda: None)  # Typer makes a command of a lone one
    return lambda *words: CliRunner().invoke(app, ["targets", *words], catch_exceptions=False)


def test_the_command_gives_a_document(command, tmp_path):
    done = command("--json", "--home", str(tmp_path))
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert int(document["machine"]["cores"]) >= 1
    told = {(each["runtime"], each["provider"]): each for each in document["targets"]}
    assert list(told) == PAIRS
    assert told["onnxruntime", "CPUExecutionProvider"]["ready"]
    assert told["nnef", "interpreter"]["emulated"]
    cuda = told["onnxruntime", "CUDAExecutionProvider"]
    assert (cuda["ready"], cuda["toolchain"]) == (False, "cuda")
    assert cuda["missing"]
    assert cuda["remedy"]


def test_the_command_names_the_toolchain_where_the_gpu_is_there(command, tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia, "no_gpu", lambda: None)
    [cuda] = [
        each
        for each in json.loads(command("--json", "--home", str(tmp_path)).stdout)["targets"]
        if each["provider"] == "CUDAExecutionProvider"
    ]
    assert "needs the toolchain 'cuda'" in cuda["missing"]
    assert cuda["remedy"].startswith("Install it with: onnxyard toolchain install cuda")


def test_the_command_shows_people_what_is_here_first(command):
    text = command().stdout
    here, missing = text.split("Not here:")
    assert "llvm-cpu" in here
    assert "CoreMLExecutionProvider" in missing
    assert "interpreter" in here.split("no speed:")[1]
