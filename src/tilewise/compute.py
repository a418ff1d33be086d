"""What networks run on: processors, threads, devices, reproducible sums, and the process's memory, set up once.

glibc gives large blocks back to the kernel as soon as they are freed, and asks for them again a moment later. A network
frees and asks for tens of megabytes per layer, so that much of its time goes into page faults: in torch, networks run
up to three times as fast once freed memory stays with the process. `prepare_runtime` asks glibc for that, in this one
place:

* `M_MMAP_MAX = 0`: no block, however large, is mapped on its own;
* `M_TRIM_THRESHOLD = 2 GiB - 1`: the heap is not given back at its end.

The price is that the process keeps its largest footprint until it ends. `TILEWISE_MALLOPT=0` leaves it alone.
Other C libraries (macOS, Windows, musl) are never touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tilewise.errors import UsageError

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_DEFAULT_MMAP_MAX, _DEFAULT_TRIM_THRESHOLD = 65536, 128 << 10
_LARGEST = 2**31 - 1

# The widest first.
_INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
# What oneDNN, which computes for torch and for OpenVINO, may use at most: its names, and what of ours they reach.
_CAP_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_CAPS = {
    "SSE41": (),
    "AVX": (),
    "AVX2": _INSTRUCTION_SETS[3:],
    "AVX2_VNNI": _INSTRUCTION_SETS[3:],
    "AVX2_VNNI_2": _INSTRUCTION_SETS[3:],
    "AVX512_CORE": _INSTRUCTION_SETS[2:],
    "AVX512_CORE_VNNI": _INSTRUCTION_SETS[2:],
    "AVX512_CORE_BF16": _INSTRUCTION_SETS[1:],
    "AVX512_CORE_FP16": _INSTRUCTION_SETS[1:],
    "AVX10_1_512": _INSTRUCTION_SETS[1:],
}


@cache
def prepare_runtime() -> bool:
    """Let freed memory stay with the process; call it before the first tensor. Later calls do nothing.

    Returns:
        Whether the allocator was set: on Linux with glibc, unless `TILEWISE_MALLOPT=0`.
    """
    if os.environ.get("TILEWISE_MALLOPT", "1") == "0":
        return False
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    done = bool(library.mallopt(_M_MMAP_MAX, 0)) and bool(library.mallopt(_M_TRIM_THRESHOLD, _LARGEST))
    if not done:
        _log.warning("glibc refused the allocator's settings; networks will run slower")
    return done


def return_freed_memory() -> None:
    """Let freed memory go back to the system after all, where `prepare_runtime` made it stay; networks run slower."""
    if prepare_runtime():
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, _DEFAULT_MMAP_MAX)
        library.mallopt(_M_TRIM_THRESHOLD, _DEFAULT_TRIM_THRESHOLD)
        library.malloc_trim(0)


@cache
def instruction_set() -> str:
    """The widest of the processor's instruction sets that changes how networks compute, or its architecture's name.

    On Linux it is read from `/proc/cpuinfo`; elsewhere only the architecture is known, and float32 is chosen. Where
    `ONEDNN_MAX_CPU_ISA` forbids the engines an instruction set, it does not count.
    """
    allowed, flags = _allowed(), _flags()
    return next((name for name in allowed if name in flags), platform.machine().lower())


def computes_bfloat16() -> bool:
    """Whether networks multiply bfloat16 in hardware here."""
    return instruction_set() in ("amx_bf16", "avx512_bf16")


def num_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """Threads of a network where nothing else is asked for: the processors, fewer where `OMP_NUM_THREADS` says so."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(num_processors(), int(limit)) if limit.isdecimal() and int(limit) > 0 else num_processors()


def find_device(wanted: Literal["auto", "cpu", "cuda"], precision: str) -> torch.device:
    """The device that `training.engine.device` asks for.

    Args:
        wanted: `auto` takes a graphics card where there is one.
        precision: that it has to compute in, as `training.step.precision`.

    Raises:
        UsageError: it is not there, or cannot compute in this precision.
    """
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UsageError(
            "training.engine.device=cuda: torch sees no graphics card here; set training.engine.device=auto"
        )
    device = torch.device("cuda" if there and wanted != "cpu" else "cpu")
    if precision == "float16" and device.type == "cpu":
        raise UsageError(
            "training.step.precision=float16 needs a graphics card, and torch sees none here; set bfloat16 or float32"
        )
    return device


@contextlib.contextmanager
def reproducible(num_threads: int) -> Iterator[None]:
    """Run torch with this many threads and deterministic algorithms; afterwards both are as they were.

    The order of a sum, and with it the last bits, depends on the number of threads: the same number on the same
    machine gives the same bytes.
    """
    import torch

    threads, debug_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    torch.set_num_threads(num_threads)
    # As `use_deterministic_algorithms(True)`, which imports torch's compiler first: more than a second, for nothing.
    torch.set_deterministic_debug_mode("error")
    # Otherwise torch writes NaN into every new tensor first, which shows up in a profile and finds nothing here.
    filled, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(debug_mode)


def _allowed() -> tuple[str, ...]:
    cap = next((os.environ[name] for name in _CAP_VARIABLES if name in os.environ), "")
    return _CAPS.get(cap.upper(), _INSTRUCTION_SETS)


def _flags() -> frozenset[str]:
    if sys.platform != "linux":
        return frozenset()
    for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
