"""Config to encoder."""

from __future__ import annotations

from functools import partial

from tilewise.compute import prepare_runtime
from tilewise.encoders.base import Encoder
from tilewise.encoders.card import EncoderCard
from tilewise.encoders.catalogue import find_card
from tilewise.encoders.config import EncoderConfig
from tilewise.encoders.find_weights import find_weights
from tilewise.encoders.licences import check_licence
from tilewise.errors import EncoderUnavailable, UsageError
from tilewise.store import digest_file


def build_encoder(
    config: EncoderConfig, *, offline: bool = False, seed: int = 0, workers: int | None = None
) -> Encoder:
    """Make the encoder a config names ready to run.

    Args:
        config: which one, with which weights, run how.
        offline: use no network to fetch weights.
        seed: of random weights.
        workers: processes of an encoder that uses some; no byte depends on it. None takes every processor.

    Raises:
        UsageError: there is no such encoder, or the config asks of it what it has not.
        LicenceNotAccepted: its licence has to be read first; nothing is fetched before.
        PluginError: a plugin makes it, which is broken.
        EncoderUnavailable: its weights are not here, cannot be fetched, or are another network's.
    """
    card = find_card(config.name).pooled(config.pooling)
    if card.builder == "texture":
        _check_texture(config)
        return _build_texture_encoder(card, config, workers)
    if config.pooling == "stages" and not card.stages:
        raise UsageError(f"encoder {card.name}: it has no stages to pool; set encoder.pooling=last")
    if card.builder == "plugin":
        from tilewise.encoders.plugin_encoder import build_plugin_encoder

        check_licence(card)
        network: Encoder = build_plugin_encoder(card, config)
    else:
        network = _build_network_encoder(card, config, offline=offline, seed=seed)
    if not config.with_texture:
        return network
    from tilewise.encoders.joined_encoder import JoinedEncoder

    return JoinedEncoder(network, _build_texture_encoder(find_card("texture"), config, workers))


def _build_texture_encoder(card: EncoderCard, config: EncoderConfig, workers: int | None) -> Encoder:
    from tilewise.encoders.texture_encoder import TextureEncoder

    return TextureEncoder(card, threads=config.threads or workers)


def _build_network_encoder(card: EncoderCard, config: EncoderConfig, *, offline: bool, seed: int) -> Encoder:
    path = None
    if config.init == "pretrained":
        check_licence(card)
        path = find_weights(card, config, offline=offline)
    prepare_runtime()

    from tilewise.encoders.load_weights import load_weights
    from tilewise.encoders.network_encoder import NetworkEncoder
    from tilewise.encoders.networks import create_network
    from tilewise.encoders.plan import make_plan

    plan = make_plan(card, config)
    network = create_network(card, seed=seed if path is None else None)
    weights = f"random {seed}"
    if path is not None:
        load_weights(network, card, path)
        weights = digest_file(path)
    # In another process nothing is chosen anew.
    chosen = {name: getattr(plan, name) for name in ("engine", "precision", "batch_size", "threads")}
    fixed = config.model_copy(update=chosen | {"with_texture": False})
    build = partial(build_encoder, fixed, offline=offline, seed=seed)
    return NetworkEncoder(network, card, plan, weights=weights, build=build)


def _check_texture(config: EncoderConfig) -> None:
    if config.weights is not None or config.init == "random":
        raise EncoderUnavailable(
            "encoder texture: it is computed and has no weights; leave out encoder.weights and init"
        )
    asked = [name for name in ("engine", "precision") if getattr(config, name) != "auto"]
    asked += ["pooling"] * (config.pooling != "last")
    asked += ["with_texture"] * config.with_texture
    asked += ["batch_size"] * (config.batch_size is not None)
    if asked:
        raise UsageError(
            f"encoder texture: it is no network, so encoder.{' and encoder.'.join(asked)} mean nothing; drop what was "
            "set, or take the recipe `texture` (--recipe texture)"
        )
