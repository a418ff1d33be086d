"""Loss curves of a fixed seed, stored, of everything that the packaged recipes combine: a changed rule shows at once.

Another order of sums - other instructions, more threads, another layout or library - changed these losses by less
than 2e-6 of themselves, and a rate that is a tenth higher by 1.8e-4 at least, so that 1e-4 lies between the two.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.training.networks.golden_of import CASES, EPOCHS, FOLDER, epochs, losses

TOLERANCE = 1e-4


@pytest.mark.parametrize("name", CASES)
def test_the_loss_of_every_step_is_as_it_was(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert len(expected) == 12  # four epochs of three batches
    np.testing.assert_allclose(losses(name), expected, rtol=TOLERANCE)


def test_every_epoch_is_as_it_was() -> None:
    np.testing.assert_allclose(epochs(), json.loads((FOLDER / EPOCHS).read_text("utf-8")), rtol=TOLERANCE)


def test_a_rate_that_is_a_tenth_higher_would_be_noticed() -> None:
    """Of the curve that it changes least."""
    name = "dual-branch-convnext"
    changed = losses(name, learning_rate=1.1 * CASES[name].training["learning_rate"])
    assert (
        np.abs(np.array(changed) / json.loads((FOLDER / f"{name}.json").read_text("utf-8")) - 1).max() > 1.5 * TOLERANCE
    )


def test_nothing_is_stored_that_is_not_looked_at() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.json" for name in CASES} | {EPOCHS}
