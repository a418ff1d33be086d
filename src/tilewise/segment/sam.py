"""Segment Anything, asked for the object in each piece of tissue."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.encoders.card import IMAGENET_MEAN, IMAGENET_STD
from tilewise.errors import EncoderUnavailable, UsageError
from tilewise.segment.config import SamConfig
from tilewise.store import digest_config, digest_file
from tilewise.torchvision_repair import import_torchvision

_PROMPTS_AT_ONCE = 4

Plane = npt.NDArray[np.float32]


def sam_digest(config: SamConfig) -> str:
    """What tells this model from another: of a local folder the files, else its hub id and revision."""
    folder = Path(config.checkpoint).expanduser()
    if not folder.is_dir():
        return digest_config([config.checkpoint, config.hub_revision])
    files = sorted(path for path in folder.iterdir() if path.suffix in {".safetensors", ".json"})
    return digest_config([[path.name, digest_file(path)] for path in files])


@lru_cache(maxsize=1)
def load_sam(config: SamConfig, *, offline: bool) -> Any:
    """SAM through transformers (Kirillov et al. 2023, Segment Anything), in evaluation mode.

    Raises:
        UsageError: transformers is not installed.
        EncoderUnavailable: the model is not here, cannot be fetched, or is no SAM in safetensors.
    """
    try:
        import_torchvision()
        from transformers import SamModel
        from transformers.utils import logging as hub_logging
    except ImportError as error:
        raise UsageError(f"segment.method sam needs transformers ({error}); pip install 'tilewise[hub]'") from error
    folder = Path(config.checkpoint).expanduser()
    where = str(folder) if folder.is_dir() else config.checkpoint
    # It would draw its own progress bars into the middle of ours.
    hub_logging.disable_progress_bar()
    try:
        model, info = SamModel.from_pretrained(
            where,
            revision=config.hub_revision,
            local_files_only=offline or folder.is_dir(),
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        # The hub's client and transformers raise what they like; all of it means that there is no such model here.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EncoderUnavailable(
            f"segment.sam.checkpoint {config.checkpoint}: SAM cannot be loaded ({reason}); fetch config.json and "
            "model.safetensors (of https://huggingface.co/facebook/sam-vit-base, say) on a machine with internet, put "
            "them into a folder, and name that"
        ) from error
    lacking = sorted(info["missing_keys"])
    if lacking:
        raise EncoderUnavailable(
            f"segment.sam.checkpoint {config.checkpoint}: this is no whole SAM, it lacks {len(lacking)} weights "
            f"({lacking[0]}); name a folder or hub id of SAM"
        )
    return model.eval()


def sam_probability(
    model: Any, rgb: npt.NDArray[np.uint8], tissue: npt.NDArray[np.bool_], *, max_prompts: int
) -> Plane:
    """Probability of belonging to any object that SAM finds in a piece of tissue.

    Each piece is a prompt: its box, and the point of it that lies farthest from its edge.

    Args:
        model: as `load_sam` gives it.
        rgb: uint8 (H, W, 3).
        tissue: bool (H, W).
        max_prompts: pieces asked for, the largest first.

    Returns:
        float32 (H, W); 0 everywhere without tissue.
    """
    import torch

    height, width = rgb.shape[:2]
    boxes, points = tissue_prompts(tissue, max_prompts)
    if not len(boxes):
        return np.zeros((height, width), np.float32)
    side = int(model.config.vision_config.image_size)
    scale = side / max(height, width)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = np.zeros((side, side, 3), np.float32)
    scaled = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    pixels[: small[1], : small[0]] = (scaled / 255.0 - IMAGENET_MEAN) / IMAGENET_STD
    best = np.full((side, side), -np.inf, np.float32)
    with torch.inference_mode():
        embeddings = model.get_image_embeddings(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        for start in range(0, len(boxes), _PROMPTS_AT_ONCE):
            some = slice(start, start + _PROMPTS_AT_ONCE)
            outputs = model(
                image_embeddings=embeddings,
                input_boxes=torch.from_numpy(boxes[some] * scale).float()[None],
                input_points=torch.from_numpy(points[some] * scale).float()[None, :, None],
                input_labels=torch.ones((1, len(boxes[some]), 1), dtype=torch.int64),
                multimask_output=False,
            )
            logits_PHW = torch.nn.functional.interpolate(
                outputs.pred_masks[0], (side, side), mode="bilinear", align_corners=False
            )[:, 0].numpy()
            best = np.maximum(best, logits_PHW.max(axis=0))
    inside = np.ascontiguousarray(best[: small[1], : small[0]])
    logits: Plane = cv2.resize(inside, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -60.0, 60.0))), dtype=np.float32)


def tissue_prompts(
    tissue: npt.NDArray[np.bool_], max_prompts: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Boxes (P, 4: left, top, right, bottom) and inner points (P, 2: x, y) of the largest pieces, in pixels."""
    num, labels, stats, _ = cv2.connectedComponentsWithStats(tissue.astype(np.uint8), connectivity=8)
    order = 1 + np.argsort(-stats[1:num, cv2.CC_STAT_AREA], kind="stable")[:max_prompts]
    boxes, points = [], []
    for label in order.tolist():
        left, top, width, height = (int(value) for value in stats[label, :4])
        piece = np.pad((labels[top : top + height, left : left + width] == label).astype(np.uint8), 1)
        depth = cv2.distanceTransform(piece, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        boxes.append((left, top, left + width, top + height))
        points.append((left + int(x) - 0.5, top + int(y) - 0.5))
    return np.array(boxes, float).reshape(-1, 4), np.array(points, float).reshape(-1, 2)
