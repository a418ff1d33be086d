"""A trained model of one fold: prediction, and the files `model.safetensors` and `model.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tilewise.encoders.threads import reproducible
from tilewise.errors import ArtifactError
from tilewise.models.aggregate import AGGREGATORS
from tilewise.models.config import HeadConfig
from tilewise.models.files import ABOUT_NAME, AGAIN, WEIGHTS_NAME, check_model, read_weights
from tilewise.models.standardisation import Standardisation
from tilewise.store import read_json, write_json, write_tensors

if TYPE_CHECKING:
    from torch import nn

_SCHEMA = "tilewise.fold-model"
_VERSION = 1
_BLOCK = 1024  # tiles per forward pass


@dataclass(frozen=True)
class FoldModel:
    """Standardisation, head and aggregator, with all weights as arrays.

    Attributes:
        classes: in the order of the probability columns.
        head: what the head is.
        standardisation: fitted on the train part.
        weights: the head's parameters and buffers by their torch names.
        origin: what the model was made from and how training went; plain data.
    """

    classes: tuple[str, ...]
    head: HeadConfig
    standardisation: Standardisation
    weights: Mapping[str, NDArray[Any]]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def aggregator(self) -> str:
        """How tile probabilities become slide probabilities; a name in `AGGREGATORS`."""
        return self.head.aggregate

    @property
    def num_features(self) -> int:
        """Length of the feature vectors the model takes."""
        return len(self.standardisation.mean_D)

    def predict_tiles(self, features_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities of each tile, float32 (N, C).

        Raises:
            ValueError: the features have another length than those the model was trained on.
        """
        import torch

        if features_ND.ndim != 2 or features_ND.shape[1] != self.num_features:
            raise ValueError(f"the model takes features (N, {self.num_features}), got {features_ND.shape}")
        probabilities_NC = np.empty((len(features_ND), len(self.classes)), dtype=np.float32)
        head = self._build()
        with reproducible(1), torch.inference_mode():
            for start in range(0, len(features_ND), _BLOCK):
                block = slice(start, start + _BLOCK)
                logits_NC = head(torch.from_numpy(self.standardisation.apply(features_ND[block])))
                # Worked out in float64 and rounded: the last bits would depend on the place in the block.
                probabilities_NC[block] = logits_NC.softmax(dim=1).numpy()
        return probabilities_NC

    def predict_slides(
        self, features_ND: NDArray[np.float32], tile_slide_N: NDArray[np.int64], num_slides: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Class probabilities of each slide, float64 (S, C), and its number of tiles, int64 (S,).

        Args:
            features_ND: tiles of all slides.
            tile_slide_N: position of each tile's slide, 0 .. num_slides - 1.
            num_slides: S; a slide without tiles gets nan.
        """
        return AGGREGATORS[self.aggregator](self.predict_tiles(features_ND), tile_slide_N, num_slides)

    def save(self, folder: Path) -> None:
        """Write both files; `model.json` comes last and holds the digest of the other, so a half is noticed."""
        tensors = {
            "standardisation.mean": self.standardisation.mean_D,
            "standardisation.scale": self.standardisation.scale_D,
            **{f"head.{name}": np.array(array, order="C") for name, array in self.weights.items()},
        }
        digest = write_tensors(folder / WEIGHTS_NAME, tensors)
        about = {
            "classes": list(self.classes),
            "num_features": self.num_features,
            "head": self.head.model_dump(mode="json"),
            "aggregator": self.aggregator,
            "origin": dict(self.origin),
            "weights_digest": digest,
        }
        write_json(folder / ABOUT_NAME, about, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def load(cls, folder: Path) -> FoldModel:
        """Read a model and check that its weights are those its description promises.

        Raises:
            ArtifactError: a file is missing, damaged or does not fit the other.
        """
        about = read_json(folder / ABOUT_NAME, schema=_SCHEMA, version=_VERSION)
        tensors = read_weights(folder, about.get("weights_digest"))
        try:
            model = cls(
                classes=tuple(str(name) for name in about["classes"]),
                head=HeadConfig.model_validate(about["head"]),
                standardisation=Standardisation(
                    tensors.pop("standardisation.mean"), tensors.pop("standardisation.scale")
                ),
                weights={name.removeprefix("head."): array for name, array in tensors.items()},
                origin=dict(about["origin"]),
            )
            num_features, aggregator = int(about["num_features"]), str(about["aggregator"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise ArtifactError(f"{folder / ABOUT_NAME} is damaged ({error!r}); {AGAIN}") from error
        model._check(folder, aggregator, num_features)
        return model

    def _check(self, folder: Path, aggregator: str, num_features: int) -> None:
        from tilewise.models.heads import build_head

        fresh = build_head(self.head, num_features=num_features, num_classes=len(self.classes))
        expected = {name: tuple(tensor.shape) for name, tensor in fresh.state_dict().items()}
        expected |= {"mean": (num_features,), "scale": (num_features,)}
        found = {name: array.shape for name, array in self.weights.items()}
        found |= {"mean": self.standardisation.mean_D.shape, "scale": self.standardisation.scale_D.shape}
        check_model(folder, aggregator, self.head, found=found, expected=expected)

    def _build(self) -> nn.Module:
        import torch

        from tilewise.models.heads import build_head

        head = build_head(self.head, num_features=self.num_features, num_classes=len(self.classes))
        head.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in self.weights.items()})
        return head.double().eval()
