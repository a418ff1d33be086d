"""How a descriptor is laid out: cells of a square around the keypoint, directions of the gradient in each."""

from __future__ import annotations

NUM_CELLS = 4
NUM_DIRECTIONS = 8
NUM_BINS = NUM_CELLS * NUM_CELLS * NUM_DIRECTIONS
