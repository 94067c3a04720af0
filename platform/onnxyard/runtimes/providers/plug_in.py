"""Execution providers that come as a library of their own, which ONNX Runtime loads into this process once."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.runtimes.providers.lack import Lack

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = threading.Lock()
_ALREADY = "already registered"
"""ONNX Runtime's words for a library that somebody else in this process has registered under the same name."""


@dataclass(frozen=True, slots=True)
class PlugIn:
    """One library.

    Attributes:
        name: The provider's.
        module: The module that knows where the library lies.
        package: The distribution.
        extra: The extra of Onnxyard that brings it.
        takes: The devices it is made for, in words.
        remedy: What to do where none of them is here.
    """

    name: str
    module: str
    package: str
    extra: str
    takes: str
    remedy: str

    def devices(self) -> list[ort.OrtEpDevice]:
        """The devices that it finds here, its library registered: once for the whole process, by any thread.

        Raises:
            ModuleNotFoundError: it is not installed.
            RuntimeError: ONNX Runtime cannot load it.
        """
        with _LOCK:
            found = self._found()
            if not found:
                library = import_module(self.module).get_library_path()
                try:
                    ort.register_execution_provider_library(self.name, library)
                except ort_errors.Fail as error:
                    if _ALREADY not in str(error):
                        raise RuntimeError(str(error).strip().splitlines()[0]) from error
                found = self._found()
            return found

    def lack(self) -> Lack | None:
        """Why it cannot run here; None where it can."""
        if find_spec(self.module) is None:
            return Lack(
                f"{self.name} needs {self.package}, which is not installed.",
                f"Install it with: pip install 'onnxyard[{self.extra}]'",
                {"extra": self.extra},
            )
        try:
            found = self.devices()
        except (RuntimeError, OSError) as error:
            return Lack(f"ONNX Runtime cannot load {self.package}: {error}", f"Reinstall {self.package}.")
        if not found:
            return Lack(f"{self.name} finds no device here: it takes {self.takes}.", self.remedy)
        return None

    def _found(self) -> list[ort.OrtEpDevice]:
        return [device for device in ort.get_ep_devices() if device.ep_name == self.name]


@contextmanager
def muted() -> Iterator[None]:
    """Keep what a C library prints to stdout off it; whatever else this process prints meanwhile goes with that."""
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        libc.fflush(None)  # what C has buffered must not come out later
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
