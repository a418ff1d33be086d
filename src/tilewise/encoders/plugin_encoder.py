"""An encoder that an installed package makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tilewise.compute import default_threads
from tilewise.encoders.base import Encoder, rebuild
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.config import EncoderConfig
from tilewise.encoders.preprocess import check_tiles
from tilewise.errors import PluginError
from tilewise.plugins import Plugin, find_plugin

Encode = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class PluginEncoder:
    """A plugin's function from tiles to vectors, held to what its card promises.

    Attributes:
        card: of the encoder.
        plugin: that adds it.
        config: that it was built for.
        function: (N, H, W, 3) in, (N, dim) out.
    """

    card: EncoderCard
    plugin: Plugin
    config: EncoderConfig
    function: Encode

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that may change a byte of the output; see `Encoder`."""
        record = self.plugin.record()
        return {
            "card": f"{self.card.name} {self.card.input_px} px, {self.card.dim}",
            "weights": f"{record['package']} {record['version']} {record['digest']}",
            "engine": "plugin",
            "config": self.config.model_dump(mode="json", exclude={"name", "with_texture"}),
        }

    @property
    def num_threads(self) -> int:
        """See `Encoder`."""
        return self.config.threads or default_threads()

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (partial(build_plugin_encoder, self.card, self.config), self.signature)

    def encode(self, tiles_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of shape (N, dim).

        Raises:
            PluginError: the plugin fails, or gives anything but finite float32 of this shape.
        """
        check_tiles(tiles_NHWC)
        try:
            features_ND = np.asarray(self.function(tiles_NHWC))
        except Exception as error:
            raise PluginError(f"{self.plugin} failed on tiles of shape {tiles_NHWC.shape}: {error!r}") from error
        expected = (len(tiles_NHWC), self.card.dim)
        if features_ND.shape != expected or features_ND.dtype != np.float32 or not np.isfinite(features_ND).all():
            raise PluginError(
                f"{self.plugin} gives {features_ND.dtype} of shape {features_ND.shape}; expected finite float32 of "
                f"shape {expected}"
            )
        return features_ND


def build_plugin_encoder(card: EncoderCard, config: EncoderConfig) -> Encoder:
    """The encoder that a card's `architecture`, `module:function`, makes.

    Raises:
        PluginError: it cannot be imported, or fails.
    """
    plugin = find_plugin("tilewise.encoders", card.name)
    build = replace(plugin, target=card.architecture).load()
    try:
        return PluginEncoder(card, plugin, config, build(card, config))
    except Exception as error:
        raise PluginError(f"{plugin}: {card.architecture} failed: {error!r}") from error
