"""What `encoder.pooling: stages` pools, by architecture.

Of convolutional networks, and of Swin: the means of the four stages at a 4th, 8th, 16th and 32nd of the input's side,
and the deviations of the first three; the last map has few places. Of vision transformers: class token and mean patch
token after half of the blocks and after all.
"""

from __future__ import annotations

from collections.abc import Mapping

from tilewise.encoders.card import Stage


def _maps(*maps: tuple[str, int]) -> tuple[Stage, ...]:
    *early, last = maps
    return (*(Stage(module, width, ("mean", "deviation")) for module, width in early), Stage(*last, ("mean",)))


def _numbered(pattern: str, numbers: tuple[int, ...], widths: tuple[int, ...]) -> tuple[Stage, ...]:
    return _maps(*((pattern.format(number), width) for number, width in zip(numbers, widths, strict=True)))


def _tokens(width: int, depth: int) -> tuple[Stage, ...]:
    return tuple(Stage(f"blocks.{number}", width, ("class", "mean")) for number in (depth // 2 - 1, depth - 1))


_RESNET_BASIC = _numbered("layer{}", (1, 2, 3, 4), (64, 128, 256, 512))
_RESNET_BOTTLENECK = _numbered("layer{}", (1, 2, 3, 4), (256, 512, 1024, 2048))
# Of EfficientNet's seven stages, those before the side is halved.
_EFFICIENTNET_STAGES = (1, 2, 4, 6)


def _efficientnet(*widths: int) -> tuple[Stage, ...]:
    return _numbered("blocks.{}", _EFFICIENTNET_STAGES, widths)


# Width and number of blocks.
_TRANSFORMERS = (
    ("vit_small_patch14_dinov2", 384, 12),
    ("vit_small_patch16_224", 384, 12),
    ("vit_small_patch8_224", 384, 12),
    ("vit_base_patch16_224", 768, 12),
    ("vit_large_patch16_224", 1024, 24),
    ("vit_giant_patch14_224", 1536, 24),
    ("vit_giant_patch14_dinov2", 1536, 40),
    ("vit_giant_patch14_reg4_dinov2", 1536, 40),
    ("vit_huge_patch14_224", 1280, 32),
)

STAGES: Mapping[str, tuple[Stage, ...]] = {
    "resnet18": _RESNET_BASIC,
    "resnet34": _RESNET_BASIC,
    "resnet50": _RESNET_BOTTLENECK,
    "resnet101": _RESNET_BOTTLENECK,
    "resnet152": _RESNET_BOTTLENECK,
    "efficientnet_b0": _efficientnet(24, 40, 112, 320),
    "efficientnet_b2": _efficientnet(24, 48, 120, 352),
    "efficientnet_b3": _efficientnet(32, 48, 136, 384),
    "tf_efficientnet_lite0": _efficientnet(24, 40, 112, 320),
    "tf_efficientnet_lite2": _efficientnet(24, 48, 120, 352),
    "tf_efficientnetv2_m": _efficientnet(48, 80, 176, 512),
    "mobilenetv1_100": _numbered("blocks.{}", (1, 2, 3, 4), (128, 256, 512, 1024)),
    "mobilenetv3_small_100": _numbered("blocks.{}", (0, 1, 3, 5), (16, 24, 48, 576)),
    "mobilenetv3_large_100": _efficientnet(24, 40, 112, 960),
    "densenet121": _maps(
        ("features.denseblock1", 256),
        ("features.denseblock2", 512),
        ("features.denseblock3", 1024),
        ("features.norm5", 1024),
    ),
    "convnext_tiny": _numbered("stages.{}", (0, 1, 2, 3), (96, 192, 384, 768)),
    "convnext_small": _numbered("stages.{}", (0, 1, 2, 3), (96, 192, 384, 768)),
    "convnext_large": _numbered("stages.{}", (0, 1, 2, 3), (192, 384, 768, 1536)),
    "swin_tiny_patch4_window7_224": _numbered("layers.{}", (0, 1, 2, 3), (96, 192, 384, 768)),
    # The activations before each of the last three reductions, and what the last one leaves.
    "vgg16": _numbered("features.{}", (15, 22, 29, 30), (256, 512, 512, 512)),
    "legacy_xception": _maps(("block1", 128), ("block2", 256), ("block11", 728), ("act4", 2048)),
    "four_blocks": _numbered("blocks.{}", (0, 1, 2, 3), (32, 64, 128, 256)),
    "four_blocks_flat": _numbered("blocks.{}", (0, 1, 2, 3), (8, 16, 32, 64)),
    **{name: _tokens(width, depth) for name, width, depth in _TRANSFORMERS},
}
