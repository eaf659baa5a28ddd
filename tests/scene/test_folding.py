"""Batch norms folded into convolutions."""

import numpy as np
import pytest
import torch
from torch import nn

from swath.scene.folding import fold


class _Answer(nn.Module):
    """A network as the engine takes it."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*parts)

    def forward(self, batch):
        return self.net(batch["image"])

    def scores(self, batch):
        return 2 * self(batch)


def _settled(*parts: nn.Module) -> _Answer:
    """With norms that have seen something."""
    torch.manual_seed(0)
    model = _Answer(*parts)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.track_running_stats:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
    return model.eval()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return {"image": torch.randn(2, 3, 16, 16)}


def _norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


def test_the_weights_are_those_derived_by_hand():
    model = _settled(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    convolution, norm = model.net
    nn.init.constant_(convolution.weight, 3.0)
    nn.init.constant_(convolution.bias, 5.0)
    norm.running_mean[:], norm.running_var[:], norm.eps = 1.0, 4.0, 0.0
    nn.init.constant_(norm.weight, 10.0)
    nn.init.constant_(norm.bias, 7.0)
    folded = fold(model, {"image": torch.zeros(1, 1, 2, 2)}).net[0]
    # ((3 x + 5) - 1) / 2 * 10 + 7
    assert folded.weight.item() == pytest.approx(15.0)
    assert folded.bias.item() == pytest.approx(27.0)


def test_the_function_stays_and_so_does_the_model(batch):
    model = _settled(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold(model, batch)
    np.testing.assert_allclose(folded(batch).detach(), model(batch).detach(), rtol=1e-4, atol=1e-5)
    # the second norm follows a ReLU
    assert (_norms(model), _norms(folded)) == (2, 1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert folded.net[3].weight is model.net[3].weight
    assert not any(part._forward_hooks for part in (*model.modules(), *folded.modules()))


def test_a_method_of_a_module_is_folded_too(batch):
    model = _settled(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    folded = fold(model.scores, batch)
    assert _norms(folded.__self__) == 0
    np.testing.assert_allclose(folded(batch).detach(), model.scores(batch).detach(), rtol=1e-4, atol=1e-5)


def test_a_network_of_the_field_keeps_its_answers(batch):
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    model = _Answer(smp.Unet("resnet18", encoder_weights=None, classes=2)).eval()
    image = {"image": torch.randn(1, 3, 64, 64)}
    folded = fold(model, image)
    assert _norms(model) == 30
    assert _norms(folded) == 0
    np.testing.assert_allclose(folded(image).detach(), model(image).detach(), rtol=1e-3, atol=1e-4)


class _Activated(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


def _twice() -> tuple[nn.Module, ...]:
    shared = nn.Conv2d(3, 3, 1)
    return shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(lambda: (nn.Conv2d(3, 3, 1), _Activated(3)), id="does more than normalise"),
        pytest.param(_twice, id="runs twice"),
        pytest.param(lambda: (nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)), id="comes first"),
        pytest.param(
            lambda: (nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)), id="has no statistics"
        ),
    ],
)
def test_what_cannot_be_folded_stays(batch, parts):
    model = _settled(*parts())
    folded = fold(model, batch)
    assert _norms(folded) == _norms(model)
    assert torch.equal(folded(batch), model(batch))


def test_models_in_training_and_functions_come_back(batch):
    model = _settled(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    assert fold(model, batch) is model

    def function(batch):
        return batch["image"]

    assert fold(function, batch) is function
