"""The card of an encoder: what it is, where its weights come from, what they may be used for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Builder = Literal["texture", "timm", "cnn", "plugin"]
Pooling = Literal["network", "class_and_mean", "stages"]
Moment = Literal["mean", "deviation", "class"]
Conversion = Literal["", "transformers_vit", "kimianet", "efficientnet_lite"]
Option = bool | int | float | str

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that an installed Python package brings; the package is data and is never imported.

    Attributes:
        package: its name, as pip takes it.
        version: the one that holds the file.
        file: the file's path inside the installation.
        sha256: of the file.
    """

    package: str
    version: str
    file: str
    sha256: str

    @property
    def pip_command(self) -> str:
        """What installs the package."""
        return f"pip install {self.package}=={self.version}"


@dataclass(frozen=True)
class Stage:
    """A part of a network whose output is pooled.

    Attributes:
        module: its name in the builder's network.
        width: channels of its output.
        moments: what is made of them: the `mean` and the standard `deviation` over places, or over the patch tokens of
            a transformer; its `class` token.
    """

    module: str
    width: int
    moments: tuple[Moment, ...]

    @property
    def dim(self) -> int:
        """How many features it gives."""
        return self.width * len(self.moments)


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """Everything about an encoder that is known before its weights are read. Pure data: no torch is needed.

    Attributes:
        name: how recipes and the command line call it.
        family: encoders of one family behave alike when they are run in another engine or precision.
        builder: `texture` is computed without weights, `timm` is a network of that library, `cnn` is our own, `plugin`
            is made by a function of an installed package.
        architecture: the builder's name of the network; of a plugin `module:function`.
        options: the builder's further arguments. The words `SwiGLUPacked`, `SiLU` and `ConvStem` stand for layers.
        source: Hugging Face hub id, or the address of one file, or of the page that offers it; empty without weights.
        revision: commit of the hub repository, or the file's release. `main` where no commit could be established.
        weights_file: name of the file in the hub repository; empty for the usual names.
        sha256: of the file, where `source` is the address of one.
        packaged: the same network's weights in a Python package; None where there is none.
        conversion: how the published keys are turned into the builder's.
        licence: SPDX id where there is one; `tilewise.encoders.licences` holds what it says.
        gated: the source asks for a registration first.
        non_commercial: the licence forbids commercial use.
        input_px: side of the square the tiles are resized to, in pixels.
        mean: of red, green and blue, in 0..1; subtracted.
        std: of red, green and blue, in 0..1; divided by.
        mpp: microns per pixel the authors trained at or recommend; None where they say nothing or it does not matter.
        dim: length of the feature vector.
        pooling: `network` is what the network gives; `class_and_mean` joins class token and mean patch token; `stages`
            joins the moments of `stages`.
        stages: what `encoder.pooling: stages` pools, in the order in which an image passes them; empty for `texture`.
        description: one line for a table.
        citation: the paper, or the release.
        notes: what a user should know; ends with a full stop.
    """

    name: str
    family: str
    builder: Builder
    architecture: str
    input_px: int
    dim: int
    licence: str
    description: str
    citation: str
    options: tuple[tuple[str, Option], ...] = ()
    source: str = ""
    revision: str = ""
    weights_file: str = ""
    sha256: str = ""
    packaged: PackagedWeights | None = None
    conversion: Conversion = ""
    gated: bool = False
    non_commercial: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    mpp: float | None = None
    pooling: Pooling = "network"
    stages: tuple[Stage, ...] = ()
    notes: str = ""

    @property
    def is_network(self) -> bool:
        """Whether it has weights that can be trained further."""
        return self.builder in ("timm", "cnn")

    @property
    def hub_id(self) -> str | None:
        """The Hugging Face hub id; None where the source is an address or there is none."""
        return self.source if self.source and "://" not in self.source else None

    @property
    def address(self) -> str | None:
        """Where a person finds the weights."""
        return f"https://huggingface.co/{self.hub_id}" if self.hub_id else self.source or None

    @property
    def file_address(self) -> str | None:
        """Address of the one file that holds the weights; None where the source is a hub repository or a page."""
        return self.source if self.sha256 else None

    def pooled(self, pooling: Literal["last", "stages"]) -> EncoderCard:
        """The card of this encoder with its features pooled as `encoder.pooling` says."""
        if pooling == "last":
            return self
        return replace(self, pooling="stages", dim=sum(stage.dim for stage in self.stages))

    def as_json(self) -> dict[str, Any]:
        """The card as plain JSON data."""
        return asdict(self)
