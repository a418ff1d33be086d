"""What is asked of the process and its processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tilewise import compute

_GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"

# Allocates and frees as a network does, and counts the pages the kernel had to give.
_FAULTS = """
import resource
from tilewise.compute import prepare_runtime
done = prepare_runtime()
assert prepare_runtime() is done
import numpy as np
def layer():
    a = np.empty(8 << 20, np.uint8); a[::4096] = 1
    b = np.empty(24 << 20, np.uint8); b[::4096] = 1
layer()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10): layer()
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**variables: str) -> tuple[str, int]:
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0", **variables}
    result = subprocess.run(
        [sys.executable, "-c", _FAULTS], env=environment, capture_output=True, text=True, check=True
    )
    done, count = result.stdout.split()
    return done, int(count)


@pytest.mark.skipif(not _GLIBC, reason="the allocator's settings are glibc's")
def test_freed_memory_stays_with_the_process() -> None:
    done, count = faults()
    left_alone, untouched = faults(TILEWISE_MALLOPT="0")
    assert (done, left_alone) == ("True", "False")
    assert untouched > 5_000
    assert count < untouched / 20


@pytest.fixture
def processor(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make the processor one with these flags, and oneDNN's cap this one."""

    def set_up(line: str, cap: str | None = None) -> None:
        path = tmp_path / "cpuinfo"
        path.write_text(f"processor\t: 0\n{line}\n")
        monkeypatch.setattr(compute, "Path", lambda _: path)
        monkeypatch.setattr(compute.sys, "platform", "linux")
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        if cap is not None:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
        compute.instruction_set.cache_clear()

    yield set_up
    compute.instruction_set.cache_clear()


@pytest.mark.parametrize(
    ("line", "expected", "bfloat16"),
    [
        ("flags\t\t: fpu sse avx2 avx512f avx512_bf16 amx_bf16", "amx_bf16", True),
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", "avx512_bf16", True),
        ("flags\t\t: fpu avx2 avx512f", "avx512f", False),
        ("flags\t\t: fpu avx2", "avx2", False),
        ("Features\t: asimd bf16", platform.machine().lower(), False),
    ],
)
def test_instruction_set(processor, line: str, expected: str, bfloat16: bool) -> None:
    processor(line)
    assert compute.instruction_set() == expected
    assert compute.computes_bfloat16() is bfloat16


@pytest.mark.parametrize(
    ("cap", "expected", "bfloat16"),
    [
        ("AVX2", "avx2", False),
        ("avx2_vnni", "avx2", False),
        ("AVX512_CORE", "avx512f", False),
        ("AVX512_CORE_BF16", "avx512_bf16", True),
        ("SSE41", platform.machine().lower(), False),
        ("DEFAULT", "amx_bf16", True),
    ],
)
def test_what_onednn_may_not_use_does_not_count(processor, cap: str, expected: str, bfloat16: bool) -> None:
    processor("flags\t\t: fpu sse avx2 avx512f avx512_bf16 amx_bf16", cap)
    assert compute.instruction_set() == expected
    assert compute.computes_bfloat16() is bfloat16


def test_processors_respect_affinity_and_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    for value, expected in (("", 3), ("2", 2), ("2,1", 2), ("16", 3), ("0", 3), ("many", 3)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert compute.default_threads() == expected
        assert compute.num_processors() == 3
