"""A fixed number of threads and deterministic algorithms for as long as a block runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def reproducible(num_threads: int) -> Iterator[None]:
    """Run torch with this many threads and deterministic algorithms; afterwards both are as they were.

    The order of a sum, and with it the last bits, depends on the number of threads: the same number on the same
    machine gives the same bytes.
    """
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True)
    # Otherwise torch writes NaN into every new tensor first, which shows up in a profile and finds nothing here.
    filled, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
