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
from tilewise.errors import EncoderUnavailable, PluginError, UsageError
from tilewise.plugins import Plugin, find_plugin
from tilewise.store import digest_file

Encode = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class PluginEncoder:
    """A plugin's function from tiles to vectors, held to what its card promises.

    Attributes:
        card: of the encoder.
        plugin: that adds it.
        config: that it was built for.
        function: (N, H, W, 3) in, (N, dim) out.
        weights: package, version and digests of the files that may change a byte of the output.
    """

    card: EncoderCard
    plugin: Plugin
    config: EncoderConfig
    function: Encode
    weights: str

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that may change a byte of the output; see `Encoder`."""
        return {
            "card": f"{self.card.name} {self.card.input_px} px, {self.card.dim}",
            "weights": self.weights,
            "engine": "plugin",
            "config": self.config.model_dump(mode="json", exclude={"name", "weights", "with_texture"}),
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
        UsageError: random weights are asked for, whose seed the function is not given.
        EncoderUnavailable: there is no file `encoder.weights`.
        PluginError: it cannot be imported, or fails.
    """
    if config.init == "random":
        raise UsageError(f"encoder {card.name}: a plugin makes it, which is given no seed; leave out encoder.init")
    path = config.weights and config.weights.expanduser()
    if path and not path.is_file():
        raise EncoderUnavailable(f"encoder.weights: there is no file {path}")
    plugin = find_plugin("tilewise.encoders", card.name)
    maker = replace(plugin, target=card.architecture)
    build = maker.load()
    digests = [plugin.record()["digest"], maker.record()["digest"]]
    digests += [digest_file(path)] if path else []
    weights = " ".join(dict.fromkeys((plugin.package, plugin.version, *digests)))
    try:
        return PluginEncoder(card, plugin, config, build(card, config), weights)
    except Exception as error:
        raise PluginError(f"{plugin}: {card.architecture} failed: {error!r}") from error
