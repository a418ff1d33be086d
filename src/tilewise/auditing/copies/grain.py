"""Where a picture shows cells and fibres, and where it is as smooth as something pasted on."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

# Contrast of cells and fibres, of the grey range 0..1: above 0.02 on nearly all tissue, below 0.003 on smooth paste.
_WINDOW_PX, _LEAST_CONTRAST = 9, 0.01
_COARSE_SIGMA = 2.0


def grainy(picture: npt.NDArray[np.float32], tissue: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark what has grain.

    Args:
        picture: (h, w), 0..1, a fingerprint's small picture.
        tissue: (h, w); what lies outside it counts for nothing.

    Returns:
        bool (h, w), of meaning on tissue.
    """
    weight = tissue.astype(np.float32)
    share = np.maximum(cv2.blur(weight, (_WINDOW_PX, _WINDOW_PX)), 1e-3)
    nearby = np.maximum(cv2.GaussianBlur(weight, (0, 0), _COARSE_SIGMA), 1e-3)
    fine = (picture - cv2.GaussianBlur(picture * weight, (0, 0), _COARSE_SIGMA) / nearby) * weight
    return np.asarray(cv2.blur(fine * fine, (_WINDOW_PX, _WINDOW_PX)) / share > _LEAST_CONTRAST**2)
