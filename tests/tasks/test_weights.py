import os
import pickle
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from swath.errors import ReadError, WeightsError, WriteError
from swath.tasks.weights import load_into, load_state, save_state


class Bomb:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_safetensors_round_trip(tmp_path: Path) -> None:
    net = nn.Linear(2, 3)
    save_state(net.state_dict(), tmp_path / "w.safetensors")
    torch.testing.assert_close(load_state(tmp_path / "w.safetensors"), dict(net.state_dict()))


@pytest.mark.parametrize("key", [None, "state_dict", "model", "net"])
def test_torch_files_are_read_as_trainers_write_them(tmp_path: Path, key: str | None) -> None:
    state = {"a": torch.ones(2)}
    torch.save(state if key is None else {key: state, "epoch": 3}, tmp_path / "w.pt")
    torch.testing.assert_close(load_state(tmp_path / "w.pt"), state)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin"])
def test_a_pickle_bomb_does_not_go_off(tmp_path: Path, suffix: str) -> None:
    torch.save({"a": Bomb(tmp_path / "made")}, tmp_path / f"bomb{suffix}")
    with pytest.raises(WeightsError, match="would run code"):
        load_state(tmp_path / f"bomb{suffix}")
    assert not (tmp_path / "made").exists()


def test_a_plain_pickle_bomb_does_not_go_off(tmp_path: Path) -> None:
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "made")))
    with pytest.raises(WeightsError):
        load_state(tmp_path / "bomb.pt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    state = {"a": torch.arange(1000.0)}
    save_file(state, path) if name.endswith("safetensors") else torch.save(state, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(WeightsError, match=name):
        load_state(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no weights file"):
        load_state(tmp_path / "w.pt")


def test_something_else_than_tensors(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="something else than named tensors: got list"):
        load_state(tmp_path / "w.pt")


def test_weights_of_another_network_are_described() -> None:
    state = {"weight": torch.zeros(3, 5), "gain": torch.zeros(1)}
    with pytest.raises(
        WeightsError, match=r"1 missing \(bias\); 1 not in the network \(gain\); 1 of another shape \(weight"
    ):
        load_into(nn.Linear(2, 3), state)


def test_names_are_mapped_and_dropped() -> None:
    net = nn.Linear(2, 3)
    state = {"module.weight": torch.ones(3, 2), "module.bias": torch.ones(3), "step": torch.ones(1)}
    load_into(net, state, lambda key: key.removeprefix("module.") if key.startswith("module.") else None)
    assert bool((net.weight == 1).all())


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """No file may grow beyond 4 kB; the writer of safetensors says so in an error of its own kind."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(WriteError, match=r"Cannot write .*w\.safetensors"):
            save_state({"a": torch.zeros(100_000)}, tmp_path / "w.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(tmp_path.iterdir())
