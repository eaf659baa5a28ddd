"""Training parts of a network: the rest stays bit by bit, is not in the run, and the run goes on and comes back."""

from __future__ import annotations

import json

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

import small_segmentation as small
from swath.errors import ConfigError, RunError
from swath.tasks.run import Run
from swath.tasks.trained_parts import TrainedParts
from swath.tasks.weights import load_state


class Net(nn.Module):
    """A frozen body with a norm and dropout, a low-rank map within it, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))
        self.body.add_module("lora", nn.Conv2d(8, 8, 1))
        self.head = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def task(seed: int = 0, **changes: object) -> small.Segmentation:
    made = small.task(**changes)
    torch.manual_seed(seed)
    made.net = Net()
    made.train_only("lora", "head")
    return made


class Interrupted(Callback):
    """Ends the run in the middle of an epoch, as a kill would."""

    def on_train_batch_start(self, trainer, module, batch, index):
        if (trainer.current_epoch, index) == (2, 3):
            raise RuntimeError("cut off")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("run"), task()
    before = {name: tensor.clone() for name, tensor in made.net.state_dict().items()}
    made.fit(small.data(), folder, seed=3, accelerator="cpu")
    return made, folder, before


def test_what_is_frozen_stays_bit_by_bit_and_what_is_trained_does_not(fitted):
    made, _, before = fitted
    moved = {name for name, tensor in made.net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {
        "body.lora.weight", "body.lora.bias", "head.0.weight", "head.0.bias", "head.0.running_mean",
        "head.0.running_var", "head.0.num_batches_tracked", "head.1.weight", "head.1.bias",
    }  # fmt: skip
    assert all(p.grad is None for name, p in made.net.body.named_parameters() if not name.startswith("lora"))


def test_without_it_statistics_of_norms_move_even_without_gradients(tmp_path):
    """The defect that eval mode is against."""
    made = small.task()
    made.net = Net()
    made.net.body.requires_grad_(False)
    before = made.net.body[1].running_mean.clone()
    made.fit(small.data(), tmp_path, seed=3, accelerator="cpu")
    assert not torch.equal(made.net.body[1].running_mean, before)


def test_modes(fitted):
    net = task().train().net
    training = {name for name, module in net.named_modules() if module.training}
    assert training == {"", "body", "body.lora", "head", "head.0", "head.1"}
    assert not any(module.training for module in task().eval().net.modules())


def test_run_and_checkpoint_hold_what_is_trained(fitted):
    made, folder, _ = fitted
    kept = load_state(folder / "weights.safetensors")
    assert {name.split(".")[0] for name in kept} == {"body", "head"}
    assert {name for name in kept if name.startswith("body")} == {"body.lora.weight", "body.lora.bias"}
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    assert {name.removeprefix("net.") for name in checkpoint["state_dict"] if name.startswith("net.")} == set(kept)
    told = json.loads((folder / "task.json").read_text())
    assert told["frozen"] == checkpoint["frozen"] == made.trained_parts.hash


def test_a_run_comes_back(fitted):
    made, folder, _ = fitted
    again = task()
    again.recall(folder, Run(folder).description)
    assert all(torch.equal(again.net.state_dict()[name], tensor) for name, tensor in made.net.state_dict().items())
    assert again.weights_hash() == made.weights_hash()


def test_a_run_is_not_applied_with_other_frozen_weights(fitted):
    with pytest.raises(RunError, match="beside other frozen weights"):
        task(seed=1).recall(fitted[1], Run(fitted[1]).description)


def test_a_task_that_was_scored_learns_as_one_that_was_not(fitted, tmp_path):
    scored = task().eval()
    scored.fit(small.data(), tmp_path, seed=3, accelerator="cpu")
    assert scored.weights_hash() == fitted[0].weights_hash()


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(fitted, tmp_path):
    with pytest.raises(RuntimeError, match="cut off"):
        task().fit(small.data(), tmp_path, seed=3, accelerator="cpu", callbacks=(Interrupted(),))
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3
    task().fit(small.data(), tmp_path, seed=3, accelerator="cpu")
    expected, found = (load_state(folder / "weights.safetensors") for folder in (fitted[1], tmp_path))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_checkpoint_does_not_go_on_with_other_frozen_weights(tmp_path):
    with pytest.raises(RuntimeError, match="cut off"):
        task().fit(small.data(), tmp_path, seed=3, accelerator="cpu", callbacks=(Interrupted(),))
    with pytest.raises(RunError, match="beside other frozen weights"):
        task(seed=1).fit(small.data(), tmp_path, seed=3, accelerator="cpu")


@pytest.mark.parametrize("names", [("neck",), (), ("body", "head"), ("bod",)])
def test_names_that_are_no_parts_are_refused(names):
    with pytest.raises(ConfigError):
        TrainedParts(Net(), names)
