"""Where the weights of an encoder lie: a given file, a folder, an installed package, the hub's cache, the hub.

Imports no torch, so that the table of encoders costs little.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from tilewise.encoders.card import EncoderCard
from tilewise.encoders.config import EncoderConfig
from tilewise.errors import EncoderUnavailable
from tilewise.store import atomic_path, cache_dir

_log = logging.getLogger(__name__)

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".torch")
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_SHA256 = re.compile("[0-9a-f]{64}")
_TIMEOUT_S = 60
_CHUNK = 1 << 20


def weights_folders() -> tuple[Path, ...]:
    """Folders searched for `<encoder>.safetensors` and the like: `$TILEWISE_WEIGHTS`, then `weights` in the cache."""
    chosen = os.environ.get("TILEWISE_WEIGHTS")
    own = cache_dir() / "weights"
    return (Path(chosen).expanduser(), own) if chosen else (own,)


def local_weights(card: EncoderCard) -> Path | None:
    """The file with a card's weights on this machine: in a weights folder, a package or the hub's cache; no network."""
    for folder in weights_folders():
        for suffix in _SUFFIXES:
            path = folder / f"{card.name}{suffix}"
            if path.is_file():
                return path
    return packaged_weights(card) or next(_from_hub_cache(card), None)


def packaged_weights(card: EncoderCard) -> Path | None:
    """The file with a card's weights in an installed Python package, which is not imported."""
    if card.packaged is None:
        return None
    try:
        path = Path(str(distribution(card.packaged.package).locate_file(card.packaged.file)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def find_weights(card: EncoderCard, config: EncoderConfig, *, offline: bool = False) -> Path:
    """The file with a card's weights: the one the config gives, else one on this machine, else fetched.

    Args:
        card: of a network.
        config: may name a file.
        offline: use no network; the variable `HF_HUB_OFFLINE` says the same.

    Raises:
        EncoderUnavailable: there is none, and none could be fetched. It names the file and where to put it.
    """
    if config.weights is not None:
        path = config.weights.expanduser()
        if not path.is_file():
            raise EncoderUnavailable(f"encoder.weights: there is no file {path}; {_advice(card)}")
        return path
    local = local_weights(card)
    if local is not None:
        return local
    if not card.source:
        raise EncoderUnavailable(
            f"encoder {card.name}: it has no trained weights; set encoder.init=random to train it from scratch, or "
            "encoder.name=texture, which needs none"
        )
    if offline or _hub_is_off():
        raise EncoderUnavailable(
            f"encoder {card.name}: its weights are not here and the network is off; {_advice(card)}"
        )
    return _fetch(card)


def needs_fetching(card: EncoderCard, config: EncoderConfig, *, offline: bool = False) -> bool:
    """Whether `find_weights` would take a file from the network."""
    has_address = bool(card.hub_id or card.file_address)
    is_asked = card.is_network and config.init == "pretrained" and config.weights is None
    return is_asked and has_address and local_weights(card) is None and not (offline or _hub_is_off())


def _fetch(card: EncoderCard) -> Path:
    try:
        if card.hub_id:
            return _from_hub(card)
        if card.file_address:
            return _from_address(card)
    except EncoderUnavailable:
        raise
    except Exception as error:
        # The hub's client and the sockets below it raise what they like; all of it means that the file is not here.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EncoderUnavailable(
            f"encoder {card.name}: its weights are not here and could not be fetched ({reason}); {_advice(card)}"
        ) from error
    raise EncoderUnavailable(f"encoder {card.name}: its weights are not here; {_advice(card)}")


def _from_hub(card: EncoderCard) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.utils import logging as hub_logging

    # It would print every retry, twice; the error that ends them says it once.
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    names = _hub_files(card)
    for name in names[:-1]:
        try:
            return Path(hf_hub_download(card.source, name, revision=card.revision))
        except EntryNotFoundError as error:
            # A file that is not in the cache while the network fails is another case, and ends the search.
            if isinstance(error, FileNotFoundError):
                raise
    return Path(hf_hub_download(card.source, names[-1], revision=card.revision))


def _from_hub_cache(card: EncoderCard) -> Iterator[Path]:
    if not card.hub_id:
        return
    from huggingface_hub import try_to_load_from_cache

    for name in _hub_files(card):
        cached: Any = try_to_load_from_cache(card.source, name, revision=card.revision)
        if isinstance(cached, str):
            yield Path(cached)


def _from_address(card: EncoderCard) -> Path:
    target = _target(card)
    digest = hashlib.sha256()
    _log.info("fetching %s", card.source)
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        # The address is one of the catalogue's.
        with urllib.request.urlopen(card.source, timeout=_TIMEOUT_S) as response:  # noqa: S310
            while chunk := response.read(_CHUNK):
                digest.update(chunk)
                stream.write(chunk)
        if not digest.hexdigest().startswith(card.sha256):
            raise EncoderUnavailable(
                f"encoder {card.name}: {card.source} has SHA-256 {digest.hexdigest()}, not {card.sha256} as expected; "
                "fetch it again, or give a file you trust with encoder.weights"
            )
    return target


def check_digest(card: EncoderCard, path: Path) -> None:
    """Compare a file of weights with its SHA-256, where that is known: of a file that was fetched or installed.

    The catalogue tells it of some files, and the hub's client names each file in its cache after it.

    Raises:
        EncoderUnavailable: the file is not the one that was fetched or installed.
    """
    stored = path.resolve()
    packaged = packaged_weights(card)
    again = "delete it, and it is fetched again"
    if card.packaged and packaged and stored == packaged.resolve():
        expected = card.packaged.sha256
        again = f"install it again ({card.packaged.pip_command} --force-reinstall --no-deps)"
    elif stored.parent.name == "blobs" and _SHA256.fullmatch(stored.name):
        expected = stored.name
    elif card.file_address and stored == _target(card).resolve():
        expected = card.sha256
    else:
        return
    digest = sha256_of(stored)
    if not digest.startswith(expected):
        raise EncoderUnavailable(
            f"encoder {card.name}: {stored} is damaged (SHA-256 {digest}, not {expected}); {again}, or give a file you "
            "trust with encoder.weights"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _target(card: EncoderCard) -> Path:
    """Where a file goes that is fetched from its own address."""
    return cache_dir() / "weights" / f"{card.name}{Path(card.source).suffix}"


def _hub_files(card: EncoderCard) -> tuple[str, ...]:
    return (card.weights_file,) if card.weights_file else _HUB_FILES


def _hub_is_off() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _advice(card: EncoderCard) -> str:
    names = (
        " or ".join(_hub_files(card)) if card.hub_id else Path(card.revision if not card.sha256 else card.source).name
    )
    revision = f", revision {card.revision}" if card.hub_id else ""
    folder = weights_folders()[0]
    install = f"{card.packaged.pip_command}, or " if card.packaged else ""
    return (
        f"{install}fetch {names} from {card.address}{revision}, and put it into {folder} as {card.name}.safetensors "
        f"(or .bin, .pth; on a machine with internet, `tilewise encoders fetch {card.name}` gets it), or name it with "
        "encoder.weights. The encoder `texture` needs no weights: encoder.name=texture"
    )
