"""Tiles whose green channel is the mask, so that whoever moves one without the other is found out."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

Batch = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture(scope="session")
def batch() -> Batch:
    """Makes B tiles of S fields with smooth blobs: green is 255 - mask, so that white glass is no mask."""

    def make(num: int = 6, fields: int = 2, width: int = 48, height: int = 48, seed: int = 0):
        rng = np.random.default_rng(seed)
        noise = rng.random((num, height, width)).astype(np.float32)
        smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), 3) for plane in noise])
        masks = torch.from_numpy(np.where(smooth > 0.5, 255, 0).astype(np.uint8))
        images = torch.from_numpy(rng.integers(60, 230, (num, fields, 3, height, width)).astype(np.uint8))
        images[:, :, 1] = 255 - masks[:, None]
        return images, masks

    return make
