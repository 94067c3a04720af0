from __future__ import annotations

import subprocess
import sys

from onnxyard.runtimes import machine
from onnxyard.runtimes.machine import describe, fingerprint

CPUINFO = """\
processor : 0
model name : Some Processor @ 2.0GHz
cpu MHz : {mhz}
flags : fpu sse avx2 avx512_vnni amx_int8 rdrand
"""


def test_the_fingerprint_is_the_same_in_another_process():
    code = "from onnxyard.runtimes.machine import fingerprint; print(fingerprint())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint()


def test_it_names_what_speed_depends_on():
    facts = describe()
    assert set(facts) == {"cores", "flags", "machine", "processor", "system", *machine.RUNTIME_PACKAGES}
    assert int(facts["cores"]) >= 1
    assert facts["onnxruntime"][0].isdigit()


def test_speed_of_the_moment_is_left_out_and_only_flags_that_matter_stay(tmp_path):
    seen = []
    for mhz in (1200.0, 3100.5):
        file = tmp_path / "cpuinfo"
        file.write_text(CPUINFO.format(mhz=mhz))
        seen.append(machine._processor(file))
    assert seen[0] == seen[1]
    model, flags = seen[0]
    assert model == "Some Processor @ 2.0GHz"
    assert flags & machine.SPEED_FLAGS == {"avx2", "avx512_vnni", "amx_int8"}


def test_a_system_without_cpuinfo_has_a_fingerprint_too(tmp_path):
    assert machine._processor(tmp_path / "missing") == ("", set())
