"""Augmentation moves everything alike: the image holds its own coordinates, so what moved where can be read off."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.data.augment import Augment, operation_names
from swath.data.classes import IGNORE
from swath.errors import UnknownNameError

GEOMETRIC = ("d4", "flip", "affine")


def batch_of(size: int, count: int = 3, layers: bool = False, seed: int = 0) -> dict[str, Any]:
    """Patches whose bands are row and column, whose mask is a function of both, with some invalid pixels."""
    generator = torch.Generator().manual_seed(seed)
    row, col = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    image = torch.stack([row, col]).float().expand(count, -1, -1, -1).clone()
    mask = ((row // 4 + col // 3) % 5).expand(count, -1, -1).clone()
    valid = torch.rand(count, size, size, generator=generator) > 0.1
    image[(~valid)[:, None].expand_as(image)] = 0
    mask[~valid] = IGNORE
    window = torch.tensor([[i * 7 - 5, -3, size, size] for i in range(count)])
    return {
        "image": {"a": image, "b": image.clone()} if layers else image,
        "valid": valid, "mask": mask, "scene": torch.zeros(count, dtype=torch.long), "window": window,
        "bbox_xyxy": [torch.tensor([[1.0, 2, 4, 3]]), torch.zeros(0, 4), torch.tensor([[0.0, 0, 2, 5]])][:count],
    }  # fmt: skip


@given(size=st.integers(6, 20), seed=st.integers(0, 100), name=st.sampled_from(["d4", "flip"]))
@settings(deadline=None, max_examples=40)
def test_exact_operations_keep_image_mask_validity_and_boxes_together(size: int, seed: int, name: str) -> None:
    batch = batch_of(size, seed=seed)
    moved = Augment((name,), seed)(batch)
    row, col = moved["image"].long().unbind(1)
    valid = moved["valid"]
    assert int(valid.sum()) == int(batch["valid"].sum())
    assert bool((moved["mask"][~valid] == IGNORE).all())
    assert bool((moved["mask"][valid] == ((row // 4 + col // 3) % 5)[valid]).all())
    for i, boxes in enumerate(moved["bbox_xyxy"]):
        for (x0, y0, x1, y1), (u0, v0, u1, v1) in zip(
            boxes.long().tolist(), batch["bbox_xyxy"][i].tolist(), strict=True
        ):
            inside = valid[i, y0:y1, x0:x1]
            rows, cols = row[i, y0:y1, x0:x1][inside], col[i, y0:y1, x0:x1][inside]
            assert bool(((rows >= v0) & (rows < v1) & (cols >= u0) & (cols < u1)).all())
            assert (x1 - x0) * (y1 - y0) == (u1 - u0) * (v1 - v0)


def test_d4_reaches_all_eight_symmetries() -> None:
    batch = batch_of(8, 1)
    seen = {tuple(Augment(("d4",), seed)(batch)["image"].flatten().tolist()) for seed in range(80)}
    assert len(seen) == 8


@given(seed=st.integers(0, 200))
@settings(deadline=None, max_examples=25)
def test_affine_keeps_mask_and_image_within_a_pixel(seed: int) -> None:
    """Without invalid pixels bilinear coordinates are exact, and the nearest mask is at most half a pixel away."""
    size = 24
    batch = batch_of(size, 1)
    row, col = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    batch |= {
        "valid": torch.ones(1, size, size, dtype=torch.bool), "image": torch.stack([row, col]).float()[None],
        "mask": (row * size + col)[None], "bbox_xyxy": [torch.tensor([[10.0, 8.0, 14.0, 15.0]])],
    }  # fmt: skip
    moved = Augment(("affine",), seed)(batch)
    deep = torch.zeros(size, size, dtype=torch.bool)
    deep[2:-2, 2:-2] = True
    seen = moved["valid"][0] & (moved["mask"][0] != IGNORE) & deep
    image, mask = moved["image"][0][:, seen], moved["mask"][0][seen]
    inner = (image > 1).all(0) & (image < size - 2).all(0)
    assert bool(((image[0] - mask // size).abs()[inner] <= 0.51).all())
    assert bool(((image[1] - mask % size).abs()[inner] <= 0.51).all())
    x0, y0, x1, y1 = moved["bbox_xyxy"][0][0].tolist()
    rows, cols = moved["image"][0]
    inside = (cols >= 10.5) & (cols <= 12.5) & (rows >= 8.5) & (rows <= 13.5) & moved["valid"][0]
    ys, xs = inside.nonzero(as_tuple=True)
    assert len(ys) > 0
    assert x0 <= xs.min() + 0.5 <= xs.max() + 0.5 <= x1
    assert y0 <= ys.min() + 0.5 <= ys.max() + 0.5 <= y1


@pytest.mark.parametrize("name", operation_names())
class TestEachOperation:
    """What holds for every operation, by being named."""

    def test_layers_share_one_geometry(self, name: str) -> None:
        moved = Augment((name,), 3)(batch_of(12, layers=True))
        if name in GEOMETRIC:
            torch.testing.assert_close(moved["image"]["a"], moved["image"]["b"])
        else:
            torch.testing.assert_close(moved["mask"], batch_of(12)["mask"])

    def test_invalid_pixels_stay_zero_and_unlabelled(self, name: str) -> None:
        moved = Augment((name,), 1)(batch_of(16))
        gone = ~moved["valid"]
        assert not moved["image"][gone[:, None].expand_as(moved["image"])].any()
        assert bool((moved["mask"][gone] == IGNORE).all())

    def test_a_patch_changes_alike_in_any_batch(self, name: str) -> None:
        batch = batch_of(12)
        alone = {key: value[1:2] for key, value in batch.items()}
        torch.testing.assert_close(Augment((name,), 5, 2)(batch)["image"][1], Augment((name,), 5, 2)(alone)["image"][0])

    def test_epochs_differ(self, name: str) -> None:
        batch = batch_of(12)
        changed = [Augment((name,), 0, epoch)(batch)["image"] for epoch in range(6)]
        assert any(not torch.equal(changed[0], other) for other in changed[1:])

    def test_the_batch_itself_is_left_alone(self, name: str) -> None:
        batch, same = batch_of(12), batch_of(12)
        Augment((name,), 0)(batch)
        torch.testing.assert_close(batch["image"], same["image"])

    def test_nothing_valid(self, name: str) -> None:
        batch = batch_of(12)
        batch["valid"] = torch.zeros_like(batch["valid"])
        assert bool(torch.isfinite(Augment((name,), 0)(batch)["image"]).all())


def test_unknown_operation_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"no augmentation 'mixup'.*d4"):
        Augment(("mixup",), 0)


def series_of(size: int, around: int, count: int) -> dict[str, Any]:
    """Two dates on a grid of `around` pixels with the same middle, whose bands are row and column of the patch."""
    axis = (torch.arange(around) + 0.5 - around / 2) * (2 * size / around) + size / 2 - 0.5
    row, col = torch.meshgrid(axis, axis, indexing="ij")
    values = torch.stack([row, col]).expand(count, 2, 2, around, around).clone()
    valid, dates = torch.ones(count, 2, around, around, dtype=torch.bool), torch.tensor([[3, 9]] * count)
    return {"s": {"values": values, "valid": valid, "dates": dates}}


@given(
    size=st.integers(4, 16), around=st.integers(3, 12), seed=st.integers(0, 100), name=st.sampled_from(["d4", "flip"])
)
@settings(deadline=None, max_examples=40)
def test_a_series_moves_with_its_image(size: int, around: int, seed: int, name: str) -> None:
    """After any move, row and column of the series go on as those of the image in the middle of the patch."""
    batch = batch_of(size, seed=seed) | {"valid": torch.ones(3, size, size, dtype=torch.bool)}
    row, col = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    batch["image"] = torch.stack([row, col]).float().expand(3, -1, -1, -1).clone()
    batch["series"] = series_of(size, around, 3)
    moved = Augment((name,), seed)(batch)
    values = moved["series"]["s"]["values"]
    step = 2 * size / around
    for image, series in zip(moved["image"], values[:, 0], strict=True):
        for axis in (-2, -1):
            torch.testing.assert_close(series.diff(dim=axis)[:, :1, :1] / step, image.diff(dim=axis)[:, :1, :1])
        torch.testing.assert_close(series.mean((1, 2)), image.mean((1, 2)))
    assert torch.equal(values[:, 0], values[:, 1])
    assert torch.equal(moved["series"]["s"]["dates"], batch["series"]["s"]["dates"])


@given(seed=st.integers(0, 60))
@settings(deadline=None, max_examples=15)
def test_affine_turns_a_series_about_its_middle(seed: int) -> None:
    size, around = 24, 12
    batch = batch_of(size, 1) | {"valid": torch.ones(1, size, size, dtype=torch.bool)}
    row, col = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    batch["image"] = torch.stack([row, col]).float()[None]
    batch["series"] = series_of(size, around, 1)
    moved = Augment(("affine",), seed)(batch)
    series = moved["series"]["s"]
    assert bool((series["valid"][0, 0] == series["valid"][0, 1]).all())
    middle = slice(around // 2 - 2, around // 2 + 2)
    assert bool(series["valid"][0, :, middle, middle].all())
    found = series["values"][0, 0, :, middle, middle].mean((1, 2))
    expected = moved["image"][0, :, size // 2 - 4 : size // 2 + 4, size // 2 - 4 : size // 2 + 4].mean((1, 2))
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    step = series["values"][0, 0, :, middle, middle].diff(dim=-1).mean((1, 2)) / 4
    torch.testing.assert_close(step, moved["image"][0, :, 8:16, 8:16].diff(dim=-1).mean((1, 2)), atol=0.02, rtol=0)


def test_radiometric_operations_leave_series_alone() -> None:
    batch = batch_of(8) | {"series": series_of(8, 4, 3)}
    moved = Augment(("colour", "noise"), 0)(batch)
    assert torch.equal(moved["series"]["s"]["values"], batch["series"]["s"]["values"])
