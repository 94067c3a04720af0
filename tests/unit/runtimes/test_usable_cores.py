"""Cores by cgroup limits, on folders laid out as kernels lay them out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxyard.runtimes import machine
from onnxyard.runtimes.machine import usable_cores


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine of 64 cores; the files of its `/proc` and `/sys`."""
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)

    def lay(files: dict[str, str]):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return lay


V2 = "0::/pods/mine\n"
V1 = "4:memory:/pods/mine\n3:cpu,cpuacct:/pods/mine\n0::/\n"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),  # a kernel without cgroups
        ({"proc/self/cgroup": V2}, 64),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/pods/mine/cpu.max": "max 100000\n"}, 64),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/pods/mine/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/pods/mine/cpu.max": "10000 100000\n"}, 1),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/pods/mine/cpu.max": "9900000 100000\n"}, 64),
    ],
)
def test_version_2_says_quota_and_period_in_one_file(system, files, cores):
    assert usable_cores(system(files)) == cores


def test_the_tightest_of_nested_groups_holds(system):
    root = system(
        {
            "proc/self/cgroup": V2,
            "sys/fs/cgroup/pods/mine/cpu.max": "max 100000\n",
            "sys/fs/cgroup/pods/cpu.max": "300000 100000\n",
        }
    )
    assert usable_cores(root) == 3
    system({"sys/fs/cgroup/cpu.max": "200000 100000\n"})
    assert usable_cores(root) == 2


def test_in_a_container_the_path_may_be_the_hosts_and_the_mount_is_the_group(system):
    root = system({"proc/self/cgroup": "0::/../../docker/abc\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"})
    assert usable_cores(root) == 3


@pytest.mark.parametrize(("quota", "cores"), [("-1", 64), ("150000", 2), ("50000", 1)])
def test_version_1_says_them_in_two(system, quota, cores):
    folder = "sys/fs/cgroup/cpu,cpuacct/pods/mine"
    root = system(
        {
            "proc/self/cgroup": V1,
            f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
            f"{folder}/cpu.cfs_period_us": "100000\n",
        }
    )
    assert usable_cores(root) == cores


def test_affinity_holds_where_it_is_tighter(system, monkeypatch):
    root = system({"proc/self/cgroup": V2, "sys/fs/cgroup/pods/mine/cpu.max": "800000 100000\n"})
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _pid: {3, 5}, raising=False)
    assert usable_cores(root) == 2


@given(st.lists(st.sampled_from(["max", "0", "-1", "100000", "12", "?", "", "1e5"]), max_size=3))
def test_whatever_the_kernel_writes_a_core_is_left(tmp_path_factory, words):
    root = tmp_path_factory.mktemp("system")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/cpu.max").write_text(" ".join(words))
    assert usable_cores(root) >= 1
