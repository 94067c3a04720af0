from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from onnxyard.runtimes import processor
from onnxyard.runtimes.processor import Processor

SETS = st.frozensets(st.sampled_from(["sse4a", "avx2", "avx512f", "amx_tile", "fma"]))
PROCESSORS = st.builds(
    Processor, st.sampled_from(["Linux", "Darwin"]), st.sampled_from(["x86_64", "aarch64"]), st.text(max_size=3), SETS
)


@given(PROCESSORS, PROCESSORS)
def test_code_runs_where_nothing_is_lacking_and_an_objection_says_why(compiled_for, here):
    objection = compiled_for.objection(here)
    alike = (compiled_for.system, compiled_for.machine) == (here.system, here.machine)
    if not alike:
        assert f"this is {here.system} {here.machine}" in objection
    elif lacking := compiled_for.instruction_sets - here.instruction_sets:
        assert all(each in objection for each in lacking)
    elif compiled_for.instruction_sets:
        assert objection == ""
    else:  # nothing is known of it but its name
        assert (objection == "") == (compiled_for.name == here.name)


@given(PROCESSORS)
def test_a_processor_has_no_objection_to_itself_and_survives_as_a_document(one):
    assert one.objection(one) == ""
    assert Processor.of_document(one.document()) == one


def test_what_the_system_switches_on_and_off_is_no_instruction_set(tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "Path", lambda _path: cpuinfo)
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 sse4_2 hypervisor smap bmi2\nflags: avx512f\n"
    )
    here = Processor.here()
    assert here.name == "Some CPU"
    assert here.instruction_sets == {"avx2", "sse4_2", "bmi2"}
    cpuinfo.write_text("Features\t: asimd sve2\n")  # Arm
    assert Processor.here().instruction_sets == {"asimd", "sve2"}
    cpuinfo.unlink()
    assert Processor.here().instruction_sets == frozenset()
    assert Processor.here().objection(replace(Processor.here(), name="another")) != ""
