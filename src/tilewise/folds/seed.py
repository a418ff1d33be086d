"""Seeds that follow from the run's."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, *numbers: int) -> int:
    """A seed, 63 bits, that depends on the run's and on these numbers, such as that of a fold, alone."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))
