"""The embedded encoder: stain-separated colour, texture and nuclear features that need no download."""

from tilewise.encoders.texture.vector import TEXTURE_DIM, VERSION, feature_names, texture_features

__all__ = ["TEXTURE_DIM", "VERSION", "feature_names", "texture_features"]
