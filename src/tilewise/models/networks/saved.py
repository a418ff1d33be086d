"""A trained network of one fold: prediction, and the files `model.safetensors` and `model.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from tilewise.compute import reproducible
from tilewise.encoders.card import EncoderCard
from tilewise.errors import ArtifactError
from tilewise.models.config import HeadConfig
from tilewise.models.files import ABOUT_NAME, AGAIN, WEIGHTS_NAME, check_aggregator, check_shapes, read_weights
from tilewise.models.networks.config import NetworkConfig
from tilewise.store import read_json, write_json, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from tilewise.models.networks.batch import TileBatch
    from tilewise.models.networks.network import TileNetwork

SCHEMA = "tilewise.network-model"
_VERSION = 1
_CALL = 16  # tiles per forward pass at most, a power of two


@dataclass(frozen=True)
class NetworkModel:
    """Encoder and head with all weights as arrays; the encoder's own file is needed no more.

    Attributes:
        classes: in the order of the probability columns.
        network: what the network is shown, and how it was trained.
        card: of the encoder, at the side it is used at.
        head: what the head is.
        weights: parameters and buffers by their torch names.
        mask_card: of the mask's encoder, if there is one.
        origin: what the model was made from and how training went; plain data.
    """

    classes: tuple[str, ...]
    network: NetworkConfig
    card: EncoderCard
    head: HeadConfig
    weights: Mapping[str, NDArray[Any]]
    mask_card: EncoderCard | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def aggregator(self) -> str:
        """How tile probabilities become slide probabilities, as `head.aggregate` has it."""
        return self.head.aggregator

    @classmethod
    def of(
        cls,
        network: TileNetwork,
        classes: tuple[str, ...],
        *,
        weights: Mapping[str, Tensor] | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> Self:
        """A copy of a network as it is now.

        Args:
            network: trained, on any device.
            classes: in the order of its logits.
            weights: other values for its `state_dict`, such as those of the best epoch or an average.
            origin: what the model was made from and how training went; plain data.
        """
        state = network.state_dict() if weights is None else weights
        return cls(
            classes=classes,
            network=network.config,
            card=network.card,
            head=network.head_config,
            weights={name: np.array(tensor.detach().cpu().numpy(), order="C") for name, tensor in state.items()},
            mask_card=network.mask_card,
            origin=dict(origin or {}),
        )

    def predict_tiles(self, batch: TileBatch, *, num_threads: int = 1) -> NDArray[np.float32]:
        """Class probabilities of each tile, float32 (N, C).

        The same tiles with the same number of threads on the same machine give the same bytes. A tile's last bits may
        depend on how many tiles are beside it.

        Args:
            batch: any number of tiles, on the processor; those of one slide.
            num_threads: of the processor.

        Raises:
            ValueError: the batch has not what the network's input needs.
        """
        import torch

        probabilities_NC = np.empty((len(batch), len(self.classes)), dtype=np.float32)
        module = self._module
        with reproducible(num_threads), torch.inference_mode():
            for index, call in batch.calls(_CALL):
                logits_BC = module(call)[: index.stop - index.start].double()
                probabilities_NC[index] = logits_BC.softmax(dim=1).numpy()
        return probabilities_NC

    def build(self) -> TileNetwork:
        """The network with its weights, in evaluation mode; the caller's own."""
        import torch

        module = self._fresh()
        module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in self.weights.items()})
        return module.eval()

    def save(self, folder: Path) -> None:
        """Write both files; `model.json` comes last and holds the digest of the other, so a half is noticed."""
        digest = write_tensors(folder / WEIGHTS_NAME, self.weights)
        metadata = {
            "classes": list(self.classes),
            "network": self.network.model_dump(mode="json"),
            "encoder": self.card.as_json(),
            "mask_encoder": self.mask_card.as_json() if self.mask_card else None,
            "head": self.head.model_dump(mode="json"),
            "aggregator": self.aggregator,
            "origin": dict(self.origin),
            "weights_digest": digest,
        }
        write_json(folder / ABOUT_NAME, metadata, schema=SCHEMA, version=_VERSION)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model and check that its weights are those its description promises.

        Raises:
            ArtifactError: a file is missing, damaged or does not fit the other.
        """
        metadata = read_json(folder / ABOUT_NAME, schema=SCHEMA, version=_VERSION)
        weights = read_weights(folder, metadata.get("weights_digest"))
        card = TypeAdapter(EncoderCard)
        try:
            model = cls(
                classes=tuple(str(name) for name in metadata["classes"]),
                network=NetworkConfig.model_validate(metadata["network"]),
                card=card.validate_python(metadata["encoder"]),
                head=HeadConfig.model_validate(metadata["head"]),
                weights=weights,
                mask_card=card.validate_python(metadata["mask_encoder"]) if metadata["mask_encoder"] else None,
                origin=dict(metadata["origin"]),
            )
            expected, aggregator = model._shapes(), str(metadata["aggregator"])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, ValidationError) as error:
            raise ArtifactError(f"{folder / ABOUT_NAME} is damaged ({error!r}); {AGAIN}") from error
        shapes = {name: array.shape for name, array in weights.items()}
        check_aggregator(folder, aggregator, model.head)
        check_shapes(folder, shapes=shapes, expected=expected)
        return model

    @cached_property
    def _module(self) -> TileNetwork:
        return self.build()

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """What the weights have to be, worked out without making any."""
        import torch

        with torch.device("meta"):
            return {name: tuple(tensor.shape) for name, tensor in self._fresh().state_dict().items()}

    def _fresh(self) -> TileNetwork:
        """The network without its weights."""
        from tilewise.encoders.networks import create_network
        from tilewise.models.networks.network import TileNetwork

        mask = (self.mask_card, create_network(self.mask_card, seed=None)) if self.mask_card else None
        return TileNetwork(
            self.network,
            (self.card, create_network(self.card, seed=None)),
            self.head,
            num_classes=len(self.classes),
            seed=0,
            mask_encoder=mask,
        )
