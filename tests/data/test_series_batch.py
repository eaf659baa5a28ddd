"""Series in batches: padded, alike in batches and alone, on grids of their own, and in scenes of nothing else."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import tiny
from halves import Left
from swath.data.loader import Batches, PatchDataset
from swath.data.samplers import grid_places, random_places
from swath.data.scenes import Collection, Scene
from swath.data.series import Frame, Series, View
from swath.data.sources import ArraySource
from swath.data.statistics import series_statistics
from swath.errors import DataError, ReadError
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", (Band("vv", "dB", nodata=0), Band("vh", "dB")))
IMAGE = Bands("rgb", (Band("red", "dn"),))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Broken(ArraySource):
    def read(self, window):
        raise ReadError("no such block")


def frames(count, seed, size=40, kind=ArraySource):
    rng = np.random.default_rng(seed)
    grid = tiny.grid(size, size)
    return tuple(
        Frame(EPOCH + timedelta(100 + 7 * n), kind(rng.integers(0, 9, (2, size, size)).astype(np.int16), BANDS, grid))
        for n in range(count)
    )


def scene(number, count, view=None, image=True, part="train"):
    layers = {"image": ArraySource(np.full((1, 40, 40), number, np.uint8), IMAGE, tiny.grid(40, 40))} if image else {}
    return Scene(f"s{number}", layers, part=part, series={"s1": Series(frames(count, number), view)})


def test_short_series_are_padded_at_their_end_with_dates_that_show_nothing():
    data = Collection((scene(1, 2), scene(2, 4)))
    batches = Batches(data, grid_places(data, None, 20), part=None, patch=20, batch=5)
    for batch in batches:
        series = batch["series"]["s1"]
        assert series["values"].shape == (len(batch["scene"]), 4, 2, 20, 20)
        assert (series["values"].dtype, series["dates"].dtype) == (torch.float32, torch.int64)
        for values, valid, dates, number in zip(
            *(series[k] for k in ("values", "valid", "dates")), batch["scene"], strict=True
        ):
            assert dates.tolist() == ([100, 107, 0, 0] if number == 0 else [100, 107, 114, 121])
            if number == 0:
                assert not valid[2:].any()
                assert not values[2:].any()
            assert valid[0].any()
            assert not values[~valid[:, None].expand_as(values)].any()


@pytest.mark.parametrize("view", [None, View(10, 30), View(40, 3)])
def test_a_batch_is_its_samples(view):
    data = Collection((scene(1, 3, view), scene(2, 1, view)))
    places = random_places(data, None, 16, seed=1, count=9)
    alone = PatchDataset(data, places)
    (batch,) = Batches(data, places, part=None, patch=16, batch=9, threads=3)
    (collated,) = DataLoader(alone, batch_size=9)
    for key in ("values", "valid", "dates"):
        assert torch.equal(batch["series"]["s1"][key], collated["series"]["s1"][key])
        for i in range(9):
            assert torch.equal(batch["series"]["s1"][key][i], alone[i]["series"]["s1"][key])
    assert batch["series"]["s1"]["values"].shape[-1] == (16 if view is None else view.size)


def test_a_grid_of_its_own_is_around_the_middle_of_the_patch():
    """A patch of 10 pixels at row 10, column 20 has its middle at (15, 25); 30 pixels around it begin at (0, 10)."""
    data = Collection((scene(3, 1, View(10, 30)),))
    places = grid_places(data, None, 10)
    index = next(i for i, p in enumerate(places) if (p.window.row, p.window.col) == (10, 20))
    found = PatchDataset(data, places)[index]["series"]["s1"]["values"][0, 1]
    source = data[0].series["s1"].frames[0].source
    values, valid = source.read(places[index].window.pad(10))
    np.testing.assert_array_equal(found.numpy(), np.where(valid, values[1], 0))


def test_scenes_may_be_of_a_series_only():
    data = Collection((scene(1, 3, image=False), scene(2, 2, image=False)))
    (batch,) = Batches(data, grid_places(data, None, 64), part=None, patch=64, batch=2)
    assert batch["image"] == {}
    seen = batch["series"]["s1"]["valid"].any(1)
    assert torch.equal(batch["valid"], seen)
    assert not batch["valid"][:, 40:].any()
    assert batch["valid"][:, :40, :40].float().mean() > 0.9


def test_damaged_dates_are_skipped_and_told():
    whole, broken = frames(1, 0), frames(2, 1, kind=Broken)
    data = Collection((Scene("a", {}, series={"s1": Series((*whole, broken[1]))}),))
    places = grid_places(data, None, 40)
    with pytest.raises(ReadError, match="Scene a cannot be read"):
        list(Batches(data, places, part=None, patch=40, batch=1))
    batches = Batches(data, places, part=None, patch=40, batch=1, on_error="skip")
    (batch,) = batches
    assert batch["series"]["s1"]["valid"][0].any((1, 2)).tolist() == [True, False]
    assert [skipped.scene for skipped in batches.skipped] == ["a"]


def test_ranks_without_a_patch_get_an_empty_series():
    data = Collection((scene(1, 2),))
    places = grid_places(data, None, 40)
    (batch,) = Batches(data, places, part=None, patch=40, batch=1, rank=1, world=2)
    assert not batch["series"]["s1"]["valid"].any()
    assert not batch["series"]["s1"]["values"].any()


def whole(frame):
    from swath.geo.windows import whole as all_of

    return all_of(frame.source.grid.shape)


def test_statistics_are_those_of_valid_pixels_of_the_part_at_all_dates():
    data = Collection((scene(1, 3, part=Left(25)), scene(2, 2, part="test")))
    found = series_statistics(data, series="s1")
    values = np.stack([frame.source.read(whole(frame))[0] for frame in data[0].series["s1"].frames])[..., :25]
    valid = values[:, 0] != 0
    pixels = np.moveaxis(values, 1, 0)[:, valid].astype(float)
    assert found.count == valid.sum()
    np.testing.assert_allclose(found.mean, pixels.mean(1), rtol=1e-6)
    np.testing.assert_allclose(found.std, pixels.std(1), rtol=1e-6)


def test_statistics_of_a_view_count_the_ground_around_patches():
    found = series_statistics(Collection((scene(1, 3, View(10, 64)),)), series="s1")
    assert found.count > 0
    assert found.names == ("vv", "vh")
    with pytest.raises(DataError, match="no such series"):
        series_statistics(Collection((scene(1, 3),)), series="s2")
    with pytest.raises(DataError, match="test part"):
        series_statistics(Collection((scene(1, 3),)), "test", series="s1")
