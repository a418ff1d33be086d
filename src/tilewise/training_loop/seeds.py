"""Generators of random numbers that depend on given numbers only."""

from __future__ import annotations

import numpy as np
import torch

from tilewise.folds import derived_seed


def seeded(seed: int, *numbers: int) -> torch.Generator:
    """A generator on the CPU whose numbers depend on the seed and on these, such as epoch and batch, alone."""
    return torch.Generator().manual_seed(derived_seed(seed, *numbers))


def numpy_from(generator: torch.Generator) -> np.random.Generator:
    """NumPy's generator, started from the next number of torch's: for distributions torch draws globally only."""
    return np.random.default_rng(int(torch.randint(0, 2**62, (), generator=generator)))
