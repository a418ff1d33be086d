"""Trained U-Nets: one of a fold, and the mean of several; files and prediction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from tilewise.errors import ArtifactError
from tilewise.segment.config import UNetConfig
from tilewise.segment.square import Square
from tilewise.store import digest_config, digest_file, read_json, read_tensors, write_json, write_tensors
from tilewise.tiles.dihedral import NUM_WAYS, lay, lay_back
from tilewise.units import Size

if TYPE_CHECKING:
    from torch import nn

_WEIGHTS, _ABOUT, _MEMBERS = "network.safetensors", "network.json", "segmenter.json"
_SCHEMA, _SCHEMA_OF_MEMBERS, _VERSION = "tilewise.segment-network", "tilewise.segmenter", 1
_AGAIN = "delete the folder and segment again"

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoldNetwork:
    """The U-Net of one fold.

    Attributes:
        config: how it was built and trained.
        weights: parameters and buffers by their torch names.
        training_digests: pixel digests of the slides it learnt from.
        origin: what it was made from; plain data.
    """

    config: UNetConfig
    weights: Mapping[str, npt.NDArray[Any]]
    training_digests: frozenset[str]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, rgb: npt.NDArray[np.uint8]) -> Plane:
        """Probability that a pixel belongs to the region, the mean over eight turned and mirrored views.

        Args:
            rgb: uint8 (H, W, 3), level 0.

        Returns:
            float32 (H, W).
        """
        import torch

        from tilewise.compute import reproducible
        from tilewise.encoders import find_card
        from tilewise.segment.network import normalised

        square = Square(Size(rgb.shape[1], rgb.shape[0]), self.config.input_px)
        picture, card = square.enter(rgb), find_card(self.config.encoder)
        picture_CHW = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
        planes = []
        with reproducible(self.config.num_threads), torch.inference_mode():
            for way in range(NUM_WAYS):
                batch = lay(picture_CHW, way).permute(1, 2, 0).contiguous()[None]
                planes.append(lay_back(self._module(normalised(batch, card))[0, 0].sigmoid(), way).numpy())
        return square.leave(mean_plane(planes))

    def save(self, folder: Path) -> None:
        """Write both files; the description comes last and holds the digest of the weights."""
        weights = {name: np.array(array, order="C") for name, array in self.weights.items()}
        digest = write_tensors(folder / _WEIGHTS, weights)
        metadata = {
            "config": self.config.model_dump(mode="json"),
            "seen": sorted(self.training_digests),
            "origin": dict(self.origin),
            "weights_digest": digest,
        }
        write_json(folder / _ABOUT, metadata, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def load(cls, folder: Path) -> FoldNetwork:
        """Read a network.

        Raises:
            ArtifactError: a file is missing, damaged, or does not fit the other.
        """
        metadata = read_json(folder / _ABOUT, schema=_SCHEMA, version=_VERSION)
        try:
            weights = read_tensors(folder / _WEIGHTS, metadata["weights_digest"], described_in=_ABOUT, again=_AGAIN)
            config = UNetConfig.model_validate(metadata["config"])
            return cls(config, weights, frozenset(map(str, metadata["seen"])), dict(metadata["origin"]))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise ArtifactError(f"{folder} holds no whole network ({error!r}); {_AGAIN}") from error

    @cached_property
    def _module(self) -> nn.Module:
        import torch

        from tilewise.segment.network import create_unet

        module = create_unet(self.config, seed=0)
        try:
            module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in self.weights.items()})
        except RuntimeError as error:
            raise ArtifactError(f"the weights are of another network than {self.config.encoder}; {_AGAIN}") from error
        return module.eval()


@dataclass(frozen=True)
class Segmenter:
    """The networks of all folds, for slides that none of them saw.

    Attributes:
        members: at least one.
    """

    members: tuple[FoldNetwork, ...]

    def predict(self, rgb: npt.NDArray[np.uint8], *, pixel_digest: str | None = None) -> Plane:
        """Mean probability of the members that never saw the slide; of all where all saw it, or nothing is known.

        Args:
            rgb: uint8 (H, W, 3), level 0.
            pixel_digest: of the slide, as `tilewise.slides.rgb_digest` gives it.

        Returns:
            float32 (H, W).
        """
        chosen = unseen(self.members, () if pixel_digest is None else (pixel_digest,))
        return mean_plane([member.predict(rgb) for member in chosen])

    def save(self, folder: Path) -> None:
        """Write every member into a folder of its own, and `segmenter.json` last."""
        for number, member in enumerate(self.members):
            member.save(folder / str(number))
        write_json(folder / _MEMBERS, {"num_members": len(self.members)}, schema=_SCHEMA_OF_MEMBERS, version=_VERSION)

    @classmethod
    def load(cls, folder: Path) -> Segmenter:
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is missing or damaged.
        """
        return cls(tuple(FoldNetwork.load(path) for path in member_folders(folder)))


def mean_plane(planes: Sequence[Plane]) -> Plane:
    """Pixel by pixel; planes float32 (H, W)."""
    mean: Plane = np.mean(planes, axis=0, dtype=np.float32)
    return mean


def member_folders(folder: Path) -> list[Path]:
    """The folders of a segmenter's members.

    Raises:
        ArtifactError: `segmenter.json` is missing or damaged.
    """
    metadata = read_json(folder / _MEMBERS, schema=_SCHEMA_OF_MEMBERS, version=_VERSION)
    number = metadata.get("num_members")
    if not isinstance(number, int) or number < 1:
        raise ArtifactError(f"{folder / _MEMBERS} is damaged; {_AGAIN}")
    return [folder / str(index) for index in range(number)]


def segmenter_digest(folder: Path) -> str:
    """Digest of everything a segmenter's masks follow from.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    try:
        return digest_config([digest_file(member / _ABOUT) for member in member_folders(folder)])
    except OSError as error:
        raise ArtifactError(f"{folder} holds no whole segmenter ({error}); {_AGAIN}") from error


def unseen(members: tuple[FoldNetwork, ...], digests: Collection[str]) -> tuple[FoldNetwork, ...]:
    """The members that saw none of these slides; all of them where there is none such."""
    return tuple(member for member in members if not member.training_digests.intersection(digests)) or members


@lru_cache(maxsize=20)
def loaded(folder: Path) -> FoldNetwork:
    """A network, read once in each process."""
    return FoldNetwork.load(folder)
