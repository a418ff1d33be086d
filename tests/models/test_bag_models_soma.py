"""The same weights in soma-pathology's ABMIL, CLAM and DSMIL, where it is installed (with --no-deps)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.one_thread import one_thread
from tilewise.models import HeadConfig
from tilewise.models.attention import PooledHead, build_pooled_head
from tilewise.models.bag_model import BagModel
from tilewise.models.bag_models import build_bag_model
from tilewise.models.dsmil import Dsmil
from tilewise.models.tile_bags import TileBags

__all__ = ["one_thread"]

D, C, LENGTHS = 6, 3, [9, 2, 5]
_PACKAGES = ("soma", "soma._internal", "soma.models", "soma.models.aggregators", "soma.models.aggregators.mil")


@pytest.fixture
def soma() -> Iterator[Any]:
    """Imports a module of soma by name; its packages' `__init__`, which want what is not installed, do not run."""
    spec = importlib.util.find_spec("soma")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("soma-pathology is not installed; the formulas by hand in test_bag_models.py are tested without it")
    root = Path(spec.submodule_search_locations[0])
    before = set(sys.modules)
    for name in (*_PACKAGES, "soma.models.heads"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    heads = types.ModuleType("soma.models.heads.base")
    heads.TaskHead = object  # type: ignore[attr-defined]
    sys.modules[heads.__name__] = heads
    yield lambda name: importlib.import_module(f"soma.models.aggregators.mil.{name}")
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "soma":
            del sys.modules[name]


def filled(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


def tiles() -> tuple[TileBags, torch.Tensor, torch.Tensor]:
    """Bags, and the same padded, (S, N, D), with their mask."""
    generator = torch.Generator().manual_seed(1)
    each = [torch.randn(length, D, generator=generator, dtype=torch.float64) for length in LENGTHS]
    slides_N = torch.arange(len(LENGTHS)).repeat_interleave(torch.tensor(LENGTHS))
    padded = torch.nn.utils.rnn.pad_sequence(each, batch_first=True)
    mask = torch.arange(padded.shape[1])[None] < torch.tensor(LENGTHS)[:, None]
    return TileBags(torch.cat(each), slides_N, len(LENGTHS)), padded, mask


def copy(pairs: dict[torch.nn.Module, torch.nn.Module]) -> None:
    """Give the layers of one the weights of the other; a score's bias, which changes nothing, is zero."""
    with torch.no_grad():
        for theirs, ours in pairs.items():
            theirs.weight.copy_(ours.weight)
            if theirs.bias is not None:
                theirs.bias.copy_(ours.bias) if ours.bias is not None else theirs.bias.zero_()


@pytest.mark.parametrize("aggregate", ["attention", "additive_attention"])
def test_attention(soma: Any, aggregate: str) -> None:
    head = HeadConfig.model_validate({"aggregate": aggregate, "attention_size": 5})
    ours = filled(build_pooled_head(head, num_features=D, num_classes=C))
    assert isinstance(ours, PooledHead)
    theirs = soma("abmil").ABMIL(D, 5, gated=aggregate == "attention", dropout=0.0).double()
    pairs = {theirs.pool.fc1: ours.attention.value, theirs.pool.fc2: ours.attention.score}
    if ours.attention.gate is not None:
        pairs[theirs.pool.fc_gate] = ours.attention.gate
    copy(pairs)
    bags, padded, mask = tiles()
    with torch.no_grad():
        expected = theirs(padded, mask)
        pooled = ours.pool(bags)
    np.testing.assert_allclose(pooled.vectors_SV, expected.bag_representation, rtol=1e-10)
    expected_N = expected.tile_attention.masked_fill(~mask, -np.inf).softmax(dim=1)[mask]
    np.testing.assert_allclose(pooled.weights_NB[:, 0], expected_N, rtol=1e-10)


@pytest.mark.parametrize("aggregate", ["clam_sb", "clam_mb"])
def test_clam(soma: Any, aggregate: str) -> None:
    head = HeadConfig.model_validate(
        {"aggregate": aggregate, "attention_size": 5, "embedding_size": 8, "instance_tiles": 3}
    )
    ours: Any = filled(build_bag_model(head, num_features=D, num_classes=C))
    theirs = getattr(soma("clam"), aggregate.upper())(
        D, 8, 5, k_sample=3, n_classes=C, inst_loss="svm", use_negative_class_instance_loss=True
    ).double()
    net = theirs.attention_net
    copy(
        {
            net[0]: ours.embed,
            net[2].attention_a[0]: ours.attention.value,
            net[2].attention_b[0]: ours.attention.gate,
            net[2].attention_c: ours.attention.score,
        }
    )
    with torch.no_grad():
        for index, classifier in enumerate(theirs.class_instance_classifiers):
            rows = slice(2 * index, 2 * index + 2)
            classifier.weight.copy_(ours.tile_classifiers.weight[rows])
            classifier.bias.copy_(ours.tile_classifiers.bias[rows])
    bags, padded, mask = tiles()
    labels_S = torch.tensor([2, 0, 1])
    with torch.no_grad():
        expected = theirs(padded, mask)
        pooled = ours.pool(bags, labels_S)
        loss = theirs.compute_auxiliary_loss(expected.auxiliary, {"label": labels_S}, mask)
    np.testing.assert_allclose(pooled.vectors_SV, expected.bag_representation.flatten(1), rtol=1e-10)
    # Theirs works out the loss in float32.
    assert pooled.losses_S.mean().item() == pytest.approx(loss.item(), rel=1e-5)


def test_dsmil(soma: Any) -> None:
    """Theirs knows one class."""
    ours = filled(Dsmil(D, 1, 5))
    theirs = soma("dsmil").DSMIL(D, 5).double()
    assert isinstance(ours, BagModel)
    copy({theirs.q_nn: ours.query, theirs.inst_classifier: ours.tile_classifier})
    bags, padded, mask = tiles()
    with torch.no_grad():
        expected = theirs(padded, mask)
        pooled = ours.pool(bags)
    np.testing.assert_allclose(pooled.vectors_SV[:, :D], expected.bag_representation, rtol=1e-10)
    np.testing.assert_allclose(pooled.weights_NB[:, 0], expected.tile_attention[mask], rtol=1e-10)
    highest_S = expected.auxiliary["instance_logits"].masked_fill(~mask, -np.inf).amax(dim=1)
    np.testing.assert_allclose(pooled.vectors_SV[:, D], highest_S, rtol=1e-10)
