"""U-Nets: built on encoders of the catalogue, trained, saved, and the views they average."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.segment.conftest import FAST, needs_unet, picture_of, region_of
from tilewise.encoders import find_card
from tilewise.encoders.networks import create_network
from tilewise.errors import ArtifactError, EncoderUnavailable, TrainingError, UsageError
from tilewise.segment import UNetConfig
from tilewise.segment.network import create_unet, load_encoder
from tilewise.segment.segmenter import FoldNetwork, Segmenter
from tilewise.segment.square import Square
from tilewise.segment.training import segmentation_loss, train_unet
from tilewise.units import Size

pytestmark = needs_unet

CONFIG = UNetConfig(**FAST)


def squares(numbers):
    square = Square(Size(128, 96), 64)
    return (
        np.stack([square.enter(picture_of(n)) for n in numbers]),
        np.stack([square.enter_mask(region_of(n)) for n in numbers]),
    )


def trained(config=CONFIG, *, seed=0, numbers=range(6)):
    network = create_unet(config, seed=seed)
    loss = train_unet(network, *squares(numbers), config, seed=seed, names=[str(n) for n in numbers])
    return network, loss


def weights_of(network):
    return {name: tensor.contiguous().numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet_b0", "densenet121", "convnext_tiny", "xception"])
def test_encoders_of_the_catalogue_fit(encoder):
    network = create_unet(UNetConfig(encoder=encoder), seed=0).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)


@pytest.mark.parametrize("encoder", ["texture", "simple_cnn", "dinov2_vits14"])
def test_an_encoder_that_does_not_fit_is_named_with_one_that_does(encoder):
    with pytest.raises(UsageError, match=rf"{encoder}.*resnet18"):
        create_unet(UNetConfig(encoder=encoder), seed=0)


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone():
    before = torch.get_rng_state()
    one, other = weights_of(trained()[0]), weights_of(trained()[0])
    assert torch.equal(before, torch.get_rng_state())
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert any(not np.array_equal(one[name], tensor) for name, tensor in weights_of(trained(seed=1)[0]).items())


def test_it_learns_a_region_it_can_see():
    config = CONFIG.model_copy(update={"epochs": 25})
    network, loss = trained(config)
    assert loss < trained(config.model_copy(update={"epochs": 2}))[1]
    computed = FoldNetwork(config, weights_of(network), frozenset()).predict(picture_of(11)) >= 0.5
    region = region_of(11)
    assert 2 * (computed & region).sum() / (computed.sum() + region.sum()) > 0.8


def test_a_loss_that_is_no_number_stops_and_names_step_and_slides(monkeypatch):
    monkeypatch.setattr(
        "tilewise.segment.training.segmentation_loss", lambda logits, truth: logits.sum() * float("nan")
    )
    with pytest.raises(
        TrainingError, match=r"the U-Net: the loss is nan at epoch 1, step 1, learning rate .*, slides .*[0-5]"
    ):
        trained()


def test_loss_is_entropy_plus_dice():
    logits = torch.tensor([[[2.0, -1.0], [0.0, 3.0]]])
    truth = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    p = 1 / (1 + np.exp(-logits.numpy()))
    t = truth.numpy()
    entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    dice = (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    assert segmentation_loss(logits, truth).item() == pytest.approx(entropy + 1 - dice, rel=1e-5)


def test_a_turned_or_mirrored_slide_gets_the_turned_or_mirrored_mask():
    member = FoldNetwork(CONFIG, weights_of(create_unet(CONFIG, seed=3)), frozenset())
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    straight = member.predict(picture)
    assert straight.std() > 0
    np.testing.assert_allclose(member.predict(picture[:, ::-1]), straight[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(member.predict(np.rot90(picture)), np.rot90(straight), atol=1e-5)


def test_a_segmenter_comes_back_from_disk_and_leaves_out_who_saw_the_slide(tmp_path):
    members = [FoldNetwork(CONFIG, weights_of(create_unet(CONFIG, seed=n)), frozenset({f"s{n}"})) for n in range(2)]
    Segmenter(tuple(members)).save(tmp_path)
    back = Segmenter.load(tmp_path)
    picture = picture_of(0)
    alone = [member.predict(picture) for member in members]
    np.testing.assert_array_equal(back.predict(picture), np.mean(alone, axis=0, dtype=np.float32))
    np.testing.assert_array_equal(back.predict(picture, pixel_digest="s0"), alone[1])


def test_damage_is_noticed(tmp_path):
    member = FoldNetwork(CONFIG, weights_of(create_unet(CONFIG, seed=0)), frozenset())
    Segmenter((member,)).save(tmp_path)
    path = tmp_path / "0" / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"oops")
    with pytest.raises(ArtifactError, match="segment again"):
        Segmenter.load(tmp_path)
    path.unlink()
    with pytest.raises(ArtifactError, match="segment again"):
        Segmenter.load(tmp_path)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_pretrained_weights_reach_the_encoder(tmp_path, name):
    card = find_card(name)
    whole = create_network(card, seed=5)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    config = UNetConfig(encoder=name, init="pretrained", weights=tmp_path / "w.safetensors", depth=5)
    network = create_unet(config, seed=0).eval()
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network.encoder(pictures)[-1]
        load_encoder(network, config, offline=True)
        after = network.encoder(pictures)[-1]
        if name == "resnet18":
            torch.testing.assert_close(after, whole.forward_features(pictures))
    assert not torch.allclose(before, after)
    own = {key.replace(".", "_"): value for key, value in whole.state_dict().items()}
    for key, value in network.encoder.model.state_dict().items():
        assert torch.equal(value, own[key.removeprefix("model.").replace(".", "_")])


def test_missing_weights_are_named_before_the_work(tmp_path):
    config = UNetConfig(init="pretrained", weights=tmp_path / "gone.safetensors")
    with pytest.raises(EncoderUnavailable, match=r"gone\.safetensors"):
        load_encoder(create_unet(config, seed=0), config, offline=True)
