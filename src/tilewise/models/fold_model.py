"""A trained model of one fold: prediction, and the files `model.safetensors` and `model.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tilewise.compute import reproducible
from tilewise.errors import ArtifactError
from tilewise.models.aggregate_tiles import build_aggregator, mask_ratios
from tilewise.models.config import HeadConfig
from tilewise.models.files import ABOUT_NAME, AGAIN, WEIGHTS_NAME, check_aggregator, check_shapes, read_weights
from tilewise.models.slide_vectors import slide_vectors, tile_vectors
from tilewise.models.standardisation import Standardisation
from tilewise.store import read_json, write_json, write_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tilewise.models.bag_model import BagModel
    from tilewise.models.tile_bags import TileBags

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
        weights: the head's parameters and buffers by their torch names; of several seeds, each name after the seed's
            number and a dot.
        origin: what the model was made from and how training went; plain data.
        num_context: length of what stands beside the moments of a slide's tiles (`features.context`).
        num_seeds: heads, of the same data and different seeds; probabilities and attention are their mean.
    """

    classes: tuple[str, ...]
    head: HeadConfig
    standardisation: Standardisation
    weights: Mapping[str, NDArray[Any]]
    origin: Mapping[str, Any] = field(default_factory=dict)
    num_context: int = 0
    num_seeds: int = 1

    @property
    def aggregator(self) -> str:
        """How tiles become a slide, as `head.aggregate` has it."""
        return self.head.aggregator

    @property
    def num_features(self) -> int:
        """Length of a tile's feature vectors."""
        return (len(self.standardisation.mean_D) - self.num_context) // len(self.head.statistics)

    def predict_tiles(
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64] | None = None,
        context_SE: NDArray[np.float32] | None = None,
        placements_NP: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities of each tile, float32 (N, C).

        Of heads that see one vector per slide they are those of a slide that has no other tile; deviations and what
        stands beside the tiles, where they are part of the vector, stay those of the slide that the tile is of.

        Args:
            features_ND: tiles.
            tile_slide_N: position of each tile's slide, from 0; None: all are of one slide.
            context_SE: what stands beside the tiles of each slide, for models that take it.
            placements_NP: mask ratio and place of each tile (`FeatureBag.placements_NP`), likewise.

        Raises:
            ValueError: the features have another length than those the model was trained on.
        """
        import torch

        self._check_features(features_ND)
        inputs_ND: NDArray[np.floating[Any]] = features_ND
        if len(self.head.statistics) > 1 or self.num_context:
            slides_N = np.zeros(len(features_ND), dtype=np.int64) if tile_slide_N is None else tile_slide_N
            num_slides = int(slides_N.max(initial=0)) + 1
            vectors_ND = tile_vectors(features_ND, slides_N, num_slides, statistics=self.head.statistics)
            inputs_ND = self._beside(vectors_ND, None if context_SE is None else context_SE[slides_N])
        probabilities_NC = np.empty((len(features_ND), len(self.classes)), dtype=np.float32)
        modules, attends = self._build(), self.head.attends
        with reproducible(1), torch.inference_mode():
            for block, features in self._blocks(inputs_ND):
                inputs = self._single_tiles(features, block, placements_NP) if attends else features
                # Worked out in float64 and rounded: the last bits would depend on the place in the block.
                probabilities_NC[block] = _mean_probabilities([module(inputs) for module in modules]).numpy()
        return probabilities_NC

    def attention_N(  # noqa: N802 - carries its axis
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64],
        num_slides: int,
        class_index: int | None = None,
        placements_NP: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        """How much each tile counts in its slide, float64 (N,); the tiles of a slide sum to 1.

        Args:
            features_ND: tiles of all slides.
            tile_slide_N: position of each tile's slide, 0 .. num_slides - 1.
            num_slides: S.
            class_index: whose weights are asked for, of models that weigh tiles for each class; None: the mean of all.
            placements_NP: mask ratio and place of each tile, for models that take them.

        Raises:
            ValueError: the model does not weigh tiles (`head.aggregate`), or takes other features.
        """
        import torch

        if not self.head.attends:
            raise ValueError(f"the model does not weigh tiles; it was trained with head.aggregate={self.aggregator}")
        self._check_features(features_ND)
        weights_N = np.empty(len(features_ND))
        members = self._bag_models()
        with reproducible(1), torch.inference_mode():
            for tiles, _, bag in self._bags(features_ND, tile_slide_N, num_slides, placements_NP):
                weights_NB = torch.stack([member.pool(bag).weights_NB for member in members]).mean(dim=0)
                chosen = slice(None) if class_index is None or weights_NB.shape[1] == 1 else [class_index]
                weights_N[tiles] = weights_NB[:, chosen].mean(dim=1).numpy()
        return weights_N

    def predict_slides(
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64],
        num_slides: int,
        context_SE: NDArray[np.float32] | None = None,
        placements_NP: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Class probabilities of each slide, float64 (S, C), and its number of tiles, int64 (S,).

        Args:
            features_ND: tiles of all slides.
            tile_slide_N: position of each tile's slide, 0 .. num_slides - 1.
            num_slides: S; a slide without tiles gets nan.
            context_SE: what stands beside the tiles of each slide, for models that take it.
            placements_NP: mask ratio and place of each tile (`FeatureBag.placements_NP`), likewise.
        """
        if self.head.attends:
            return self._predict_bags(features_ND, tile_slide_N, num_slides, placements_NP)
        if self.head.takes_slide_vectors:
            return self._predict_vectors(features_ND, tile_slide_N, num_slides, context_SE)
        ratios_N = None if placements_NP is None else mask_ratios(placements_NP)
        return build_aggregator(self.head, ratios_N)(self.predict_tiles(features_ND), tile_slide_N, num_slides)

    def _predict_bags(
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64],
        num_slides: int,
        placements_NP: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        import torch

        self._check_features(features_ND)
        probabilities_SC = np.full((num_slides, len(self.classes)), np.nan)
        members = self._bag_models()
        with reproducible(1), torch.inference_mode():
            for _, slide, bag in self._bags(features_ND, tile_slide_N, num_slides, placements_NP):
                probabilities_SC[slide] = _mean_probabilities([member(bag) for member in members])[0].numpy()
        return probabilities_SC, np.bincount(tile_slide_N, minlength=num_slides)

    def _bags(
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64],
        num_slides: int,
        placements_NP: NDArray[np.float32] | None,
    ) -> Iterator[tuple[NDArray[np.int64], int, TileBags]]:
        """Of each slide with tiles, their positions, its own, and the bag: alone, so that no other slide matters."""
        import torch

        from tilewise.models.tile_bags import TileBags

        order_N = np.argsort(tile_slide_N, kind="stable")
        ends_S = np.bincount(tile_slide_N, minlength=num_slides).cumsum()
        for slide, tiles in enumerate(np.split(order_N, ends_S[:-1])):
            if len(tiles):
                inputs_ND = torch.from_numpy(self.standardisation.apply(features_ND[tiles]))
                same_N = torch.zeros(len(tiles), dtype=torch.int64)
                yield tiles, slide, TileBags(inputs_ND, same_N, 1, _as_tensor(placements_NP, tiles))

    def _single_tiles(self, inputs: Tensor, block: slice, placements_NP: NDArray[np.float32] | None) -> TileBags:
        """Each tile of a block as a slide of its own."""
        import torch

        from tilewise.models.tile_bags import TileBags

        return TileBags(inputs, torch.arange(len(inputs)), len(inputs), _as_tensor(placements_NP, block))

    def slide_vectors(
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64],
        num_slides: int,
        context_SE: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        """Standardised vectors of slides, float64 (S, D for each of `head.statistics` + `num_context`).

        Args:
            features_ND: tiles of all slides.
            tile_slide_N: position of each tile's slide, 0 .. num_slides - 1.
            num_slides: S; a slide without tiles gets nan.
            context_SE: what stands beside the tiles of each slide, for models that take it.

        Raises:
            ValueError: the features have another length than those the model was trained on.
        """
        self._check_features(features_ND)
        vectors_SD = slide_vectors(features_ND, tile_slide_N, num_slides, statistics=self.head.statistics)
        return self.standardisation.apply(self._beside(vectors_SD, context_SE))

    def _beside(self, vectors_SD: NDArray[np.float64], context_SE: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """Vectors with what stands beside them."""
        length = 0 if context_SE is None else context_SE.shape[1]
        if length != self.num_context:
            raise ValueError(f"the model takes {self.num_context} numbers beside the tiles of a slide, got {length}")
        if context_SE is None:
            return vectors_SD
        return np.concatenate([vectors_SD, self.standardisation.fill(context_SE)], axis=1)

    def _predict_vectors(
        self,
        features_ND: NDArray[np.float32],
        tile_slide_N: NDArray[np.int64],
        num_slides: int,
        context_SE: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        import torch

        vectors_SD = torch.from_numpy(self.slide_vectors(features_ND, tile_slide_N, num_slides, context_SE))
        with reproducible(1), torch.inference_mode():
            rounded_SC = _mean_probabilities([head(vectors_SD) for head in self._build()])
        return rounded_SC.double().numpy(), np.bincount(tile_slide_N, minlength=num_slides)

    def _check_features(self, features_ND: NDArray[np.float32]) -> None:
        if features_ND.ndim != 2 or features_ND.shape[1] != self.num_features:
            raise ValueError(f"the model takes features (N, {self.num_features}), got {features_ND.shape}")

    def _blocks(self, inputs_ND: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
        """Standardised inputs, some tiles at a time."""
        import torch

        for start in range(0, len(inputs_ND), _BLOCK):
            block = slice(start, start + _BLOCK)
            yield block, torch.from_numpy(self.standardisation.apply(inputs_ND[block]))

    def save(self, folder: Path) -> None:
        """Write both files; `model.json` comes last and holds the digest of the other, so a half is noticed."""
        tensors = {
            "standardisation.mean": self.standardisation.mean_D,
            "standardisation.scale": self.standardisation.scale_D,
            **{f"head.{name}": np.array(array, order="C") for name, array in self.weights.items()},
        }
        digest = write_tensors(folder / WEIGHTS_NAME, tensors)
        metadata = {
            "classes": list(self.classes),
            "num_features": self.num_features,
            **({"num_context": self.num_context} if self.num_context else {}),
            **({"num_seeds": self.num_seeds} if self.num_seeds > 1 else {}),
            "head": self.head.model_dump(mode="json"),
            "aggregator": self.aggregator,
            "origin": dict(self.origin),
            "weights_digest": digest,
        }
        write_json(folder / ABOUT_NAME, metadata, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def load(cls, folder: Path) -> FoldModel:
        """Read a model and check that its weights are those its description promises.

        Raises:
            ArtifactError: a file is missing, damaged or does not fit the other.
        """
        metadata = read_json(folder / ABOUT_NAME, schema=_SCHEMA, version=_VERSION)
        tensors = read_weights(folder, metadata.get("weights_digest"))
        try:
            model = cls(
                classes=tuple(str(name) for name in metadata["classes"]),
                head=HeadConfig.model_validate(metadata["head"]),
                standardisation=Standardisation(
                    tensors.pop("standardisation.mean"), tensors.pop("standardisation.scale")
                ),
                weights={name.removeprefix("head."): array for name, array in tensors.items()},
                origin=dict(metadata["origin"]),
                num_context=int(metadata.get("num_context", 0)),
                num_seeds=int(metadata.get("num_seeds", 1)),
            )
            num_features, aggregator = int(metadata["num_features"]), str(metadata["aggregator"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise ArtifactError(f"{folder / ABOUT_NAME} is damaged ({error!r}); {AGAIN}") from error
        model._check(folder, aggregator, num_features)
        return model

    def _check(self, folder: Path, aggregator: str, num_features: int) -> None:
        fresh = self._fresh(num_features)
        expected = {
            prefix + name: tuple(tensor.shape)
            for prefix in self._prefixes
            for name, tensor in fresh.state_dict().items()
        }
        expected |= dict.fromkeys(("mean", "scale"), (num_features * len(self.head.statistics) + self.num_context,))
        shapes = {name: array.shape for name, array in self.weights.items()}
        shapes |= {"mean": self.standardisation.mean_D.shape, "scale": self.standardisation.scale_D.shape}
        check_aggregator(folder, aggregator, self.head)
        check_shapes(folder, shapes=shapes, expected=expected)

    def _fresh(self, num_features: int) -> nn.Module:
        from tilewise.models.bag_models import build_bag_model
        from tilewise.models.heads import build_head

        build = build_bag_model if self.head.attends else build_head
        length = num_features * len(self.head.statistics) + self.num_context
        return build(self.head, num_features=length, num_classes=len(self.classes))

    @property
    def _prefixes(self) -> list[str]:
        """Of the names of weights, one for each seed."""
        return [""] if self.num_seeds == 1 else [f"{number}." for number in range(self.num_seeds)]

    def _build(self) -> list[nn.Module]:
        """The module of each seed, with its weights."""
        import torch

        modules = []
        for prefix in self._prefixes:
            module = self._fresh(self.num_features)
            own = {name.removeprefix(prefix): array for name, array in self.weights.items() if name.startswith(prefix)}
            module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in own.items()})
            modules.append(module.double().eval())
        return modules

    def _bag_models(self) -> list[BagModel]:
        return cast("list[BagModel]", self._build())


def _mean_probabilities(logits: list[Tensor]) -> Tensor:
    """The mean of some heads' probabilities, float32, of their logits."""
    import torch

    return torch.stack([one.softmax(dim=1) for one in logits]).mean(dim=0).float()


def _as_tensor(placements_NP: NDArray[np.float32] | None, tiles: NDArray[np.int64] | slice) -> Tensor | None:
    """Placements of some tiles, float64."""
    import torch

    return None if placements_NP is None else torch.from_numpy(placements_NP[tiles].astype(np.float64))
