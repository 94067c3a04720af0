"""NVIDIA's driver as its library answers, and what the GPU providers are told."""

from __future__ import annotations

import pytest

from onnxyard.runtimes.providers import nvidia
from onnxyard.runtimes.providers.nvidia import CUDA, TENSORRT, Driver, cuda_options, engine_key, tensorrt_options

H100 = "NVIDIA H100 80GB HBM3 (9.0)"


class FakeCuda:
    """The functions of libcuda that are asked, over a list of GPUs."""

    def __init__(self, status: int, names: tuple[str, ...]) -> None:
        self._status, self._names = status, names

    def cuInit(self, _flags):  # noqa: N802 - CUDA's own name
        return self._status

    def cuDeviceGetCount(self, count):  # noqa: N802 - as above
        count._obj.value = len(self._names)
        return 0

    def cuDeviceGet(self, device, at):  # noqa: N802 - as above
        device._obj.value = at
        return 0

    def cuDeviceGetName(self, text, _length, device):  # noqa: N802 - as above
        text.value = self._names[device.value].encode()
        return 0

    def cuDeviceGetAttribute(self, number, attribute, _device):  # noqa: N802 - as above
        number._obj.value = {75: 9, 76: 0}[attribute]
        return 0


@pytest.fixture
def machine(monkeypatch):
    def make(status: int, *names: str) -> None:
        monkeypatch.setattr(nvidia.ctypes, "CDLL", lambda _name: FakeCuda(status, names))
        monkeypatch.setattr(nvidia, "driver", Driver)

    return make


def test_a_machine_with_gpus_names_them(machine):
    machine(0, "NVIDIA H100 80GB HBM3", "NVIDIA L4")
    assert nvidia.no_gpu() is None
    assert nvidia.devices() == (H100, "NVIDIA L4 (9.0)")


@pytest.mark.parametrize(
    ("status", "names", "said"),
    [
        (100, (), "finds no GPU"),
        (0, (), "finds no GPU"),
        (999, (), "cuInit gives 999"),
        (803, (), "cuInit gives 803"),  # the driver does not fit the system
    ],
)
def test_a_driver_without_a_usable_gpu_says_why(machine, status, names, said):
    machine(status, *names)
    lack = nvidia.no_gpu()
    assert said in lack.detail
    assert lack.remedy
    assert nvidia.devices() == ()


def test_no_driver_is_told_as_such(monkeypatch):
    monkeypatch.setattr(nvidia, "driver", lambda: None)
    assert "libcuda.so.1 is not there" in nvidia.no_gpu().detail


def defaults(provider, **chosen):
    return {**{name: values[0] for name, values in provider.options.items()}, **chosen}


def test_cuda_computes_in_full_float32_unless_it_is_told_otherwise():
    assert cuda_options(defaults(CUDA))["use_tf32"] == "0"
    assert cuda_options(defaults(CUDA, tf32="on"))["use_tf32"] == "1"
    assert "tf32" in CUDA.numeric
    for name, values in CUDA.options.items():
        for value in values:
            assert cuda_options(defaults(CUDA, **{name: value}))["device_id"] == "0"


def test_tensorrts_precisions_are_asked_for_one_by_one():
    plain = tensorrt_options(defaults(TENSORRT), None, (H100,))
    assert (plain["trt_fp16_enable"], plain["trt_int8_enable"]) == ("0", "0")
    low = tensorrt_options(defaults(TENSORRT, precision="f16", int8="on"), None, (H100,))
    assert (low["trt_fp16_enable"], low["trt_int8_enable"]) == ("1", "1")
    assert "trt_engine_cache_enable" not in plain


def test_engines_are_kept_by_device_and_versions(tmp_path, monkeypatch):
    told = tensorrt_options(defaults(TENSORRT), tmp_path, (H100,))
    folder = tmp_path / engine_key((H100,))
    assert folder.is_dir()
    assert (told["trt_engine_cache_enable"], told["trt_timing_cache_enable"]) == ("1", "1")
    assert (told["trt_engine_cache_path"], told["trt_timing_cache_path"]) == (str(folder), str(folder))
    assert folder.name.startswith("nvidia-h100-80gb-hbm3-9-0-")
    others = {engine_key((H100,)), engine_key(("NVIDIA L4 (8.9)",))}
    monkeypatch.setattr(nvidia.ort, "__version__", "1.99.0")
    others.add(engine_key((H100,)))
    assert len(others) == 3
