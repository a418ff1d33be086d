"""Region masks where a cohort has none, or better ones: by colour, by a U-Net fitted crosswise, or by SAM."""

from tilewise.segment.config import SamConfig, SegmentConfig, UNetConfig

__all__ = ["SamConfig", "SegmentConfig", "UNetConfig"]
