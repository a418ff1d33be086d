"""Generators of random numbers that depend on given numbers only."""

from __future__ import annotations

import numpy as np
import torch


def seeded(seed: int, *numbers: int) -> torch.Generator:
    """A generator on the CPU whose numbers depend on the seed and on these, such as epoch and batch, alone."""
    state = np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def numpy_from(generator: torch.Generator) -> np.random.Generator:
    """NumPy's generator, started from the next number of torch's: for distributions torch draws globally only."""
    return np.random.default_rng(int(torch.randint(0, 2**62, (), generator=generator)))
