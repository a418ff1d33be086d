"""How far two ways of computing the same may differ, and in what a network computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Roundings follow on each other as a random walk. In float32 the order of sums of up to a thousand products differs; in
# bfloat16 sums are float32 and about sixteen layers, forward and backward, round what they give.
_NUM_ROUNDINGS = {torch.float32: 1024, torch.bfloat16: 16}


def rounding(dtype: torch.dtype) -> float:
    """The relative difference that rounding may make; whatever processor computes."""
    return _NUM_ROUNDINGS[dtype] ** 0.5 * torch.finfo(dtype).eps


@contextmanager
def watched_convolutions() -> Iterator[set[tuple[torch.dtype, bool]]]:
    """What convolutions give while this is open: dtype, and whether channels come last."""
    outputs: set[tuple[torch.dtype, bool]] = set()

    def look(module: nn.Module, _: object, output: object) -> None:
        if isinstance(module, nn.Conv2d) and isinstance(output, torch.Tensor):
            outputs.add((output.dtype, output.is_contiguous(memory_format=torch.channels_last)))

    handle = nn.modules.module.register_module_forward_hook(look)
    try:
        yield outputs
    finally:
        handle.remove()
