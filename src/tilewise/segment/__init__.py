"""Region masks where a cohort has none, or better ones: by colour, by a U-Net cross-fitted, or by SAM."""

from tilewise.segment.config import SamConfig, SegmentConfig, UNetConfig

__all__ = ["SamConfig", "SegmentConfig", "UNetConfig"]
