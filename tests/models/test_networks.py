"""Claims about the networks: sizes from the papers, and outputs equal to another implementation's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from lightning_base.errors import UserError
from models.cnn import CNN
from models.fast_resnet import FastResNet, Whitening
from models.lenet import LeNet
from models.linear import Linear
from models.mlp import MLP
from models.resnet import ResNet


def size(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_lenet_has_the_papers_widths() -> None:
    network = LeNet()
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert shapes == [(6, 3, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]
    assert size(network) == 62_006
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifar_resnets_have_the_papers_sizes(depth: int, millions: float) -> None:
    network = ResNet(depth)
    assert size(network) / 1e6 == pytest.approx(millions, rel=0.025)  # table 6 of the paper, rounded there
    assert sum(isinstance(m, torch.nn.Conv2d | torch.nn.Linear) for m in network.modules()) == depth
    assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_imagenet_resnets_compute_what_torchvisions_do(depth: int) -> None:
    theirs = torchvision.models.get_model(f"resnet{depth}", weights=None).eval()
    ours = ResNet(depth, num_outputs=1000, stem="imagenet").eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))


def test_pretrained_weights_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = torchvision.models.resnet18(weights=None)
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    file = tmp_path / "hub" / "checkpoints" / weights.url.rsplit("/", 1)[-1]
    file.parent.mkdir(parents=True)
    torch.save(theirs.state_dict(), file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = ResNet(18, num_outputs=3, stem="imagenet", pretrained="IMAGENET1K_V1")
    assert torch.equal(network.get_parameter("layer4.1.conv2.weight"), theirs.layer4[1].conv2.weight)
    assert network.fc.weight.shape == (3, 512)


def test_absent_pretrained_weights_are_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError, match=r"resnet18-.*\.pth and cannot be downloaded .*pretrained: null"):
        ResNet(18, stem="imagenet", pretrained="IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 19}, "no ResNet of depth 19"),
        ({"depth": 20, "stem": "imagenet"}, "take stem cifar"),
        ({"depth": 18, "stem": "imagenet", "pretrained": "V9"}, "no weights 'V9'; take one of IMAGENET1K_V1"),
        ({"depth": 18, "pretrained": "IMAGENET1K_V1"}, "stem imagenet and 3 channels"),
    ],
)
def test_resnets_that_do_not_exist_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ResNet(**arguments)


def test_mlp_is_affine_maps_with_activations_between() -> None:
    network = MLP(6, 3, hidden=(5, 4), activation="tanh", dropout=0.5).eval()
    x = torch.randn(7, 2, 3)
    (w1, b1, w2, b2, w3, b3) = network.parameters()
    expected = torch.tanh(torch.tanh(x.reshape(7, 6) @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(network(x), expected)


def test_linear_is_one_affine_map_that_begins_at_zero() -> None:
    network = Linear(6, 2)
    assert torch.equal(network(torch.randn(4, 2, 3)), torch.zeros(4, 2))
    network = Linear(6, 2, zero_init=False)
    x = torch.randn(4, 2, 3)
    torch.testing.assert_close(network(x), F.linear(x.reshape(4, 6), network.affine.weight, network.affine.bias))


@pytest.mark.parametrize("lazy", [lambda: MLP(hidden=[4]), lambda: MLP(hidden=[]), Linear])
def test_a_network_without_in_features_takes_them_from_what_it_sees_first(lazy: Callable[[], torch.nn.Module]) -> None:
    network, x = lazy(), torch.randn(4, 5, 3)
    out = network(x)
    assert next(network.parameters()).shape[1] == 15
    loaded = lazy()
    loaded.load_state_dict(network.state_dict())
    assert torch.equal(loaded(x), out)
    with pytest.raises(RuntimeError, match="shapes"):
        network(torch.randn(4, 14))
    if isinstance(network, Linear):
        assert torch.equal(out, torch.zeros(4, 1))
        assert Linear(zero_init=False)(x).abs().sum() > 0


def test_cnn_takes_images_down_to_its_number_of_halvings() -> None:
    network = CNN(1, 10, widths=(4, 8, 16)).eval()
    for side in (8, 9, 32):
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 10)
    assert size(CNN(1, 10, widths=(4,))) == 4 * 9 + 4 * 4 * 9 + 2 * 8 + 4 * 10 + 10


def test_whitening_makes_the_numbers_of_patches_uncorrelated_and_of_variance_1() -> None:
    x = F.avg_pool2d(torch.randn(50, 3, 24, 24, generator=torch.manual_seed(0)).cumsum(1), 3, 1)  # correlated
    layer = Whitening(3, eps=0.0)
    assert not layer.fitted
    layer.fit(x)
    assert layer.fitted
    out = layer(x)
    assert out.shape == (50, 24, 21, 21)
    assert torch.equal(out[:, 12:], -out[:, :12])
    covariance = np.cov(out[:, :12].permute(1, 0, 2, 3).flatten(1).numpy())
    np.testing.assert_allclose(covariance, np.eye(12), atol=1e-3)
    assert not [*layer.parameters()], "it is not trained"


def test_fast_resnet_takes_images_of_any_size_and_the_datas_channels() -> None:
    network = FastResNet(7, in_channels=1, widths=(8, 16)).eval()
    for side in (5, 22, 33):
        assert network(torch.zeros(2, 1, side, side)).shape == (2, 7)
    with pytest.raises(UserError, match=r"network.widths: \[\] are no channels"):
        FastResNet(widths=())


def test_a_stage_halves_the_image_and_adds_its_second_convolution_to_the_first() -> None:
    stage = FastResNet(widths=(6,)).stages[0].eval()
    x = torch.randn(2, 24, 10, 10)
    with torch.no_grad():
        first = F.gelu(stage.bn1(F.max_pool2d(F.conv2d(x, stage.conv1.weight, padding=1), 2)))
        second = F.gelu(stage.bn2(F.conv2d(first, stage.conv2.weight, padding=1)))
        torch.testing.assert_close(stage(x), first + second)
