"""Statistics against numpy on all values at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.statistics import Moments, band_statistics
from swath.errors import DataError
from swath.sensors.bands import Band, Bands

BANDS = Bands(
    "s", (Band("red", "reflectance", scale=1e-4, offset=-0.1, nodata=0), Band("nir", "reflectance", nodata=0))
)


def scene(values, name="a", part="train"):
    return Scene(name, {"image": ArraySource(values, BANDS, tiny.grid(*values.shape[1:]))}, part=part)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 3000, (2, height, width)).astype(np.uint16)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 99), st.floats(-1e6, 1e6))
def test_moments_of_pieces_are_those_of_the_whole(sizes, seed, level):
    rng = np.random.default_rng(seed)
    pieces = [rng.normal(level, 3, (2, n)) for n in [*sizes, 3]]
    moments = Moments(2)
    for piece in pieces:
        moments.add(piece)
    whole = np.concatenate(pieces, axis=1)
    assert np.allclose(moments.mean, whole.mean(1), rtol=1e-12, atol=1e-9)
    assert np.allclose(moments.std, whole.std(1), rtol=1e-7)
    assert np.array_equal(moments.low, whole.min(1))
    assert np.array_equal(moments.high, whole.max(1))


def test_small_parts_are_counted_exactly_in_physical_units():
    values = noise(300, 140)
    found = band_statistics(Collection((scene(values), scene(noise(50, 60, 1), "b", "val"))), "train")
    valid = (values != 0).all(0)
    physical = values[:, valid] * np.array([[1e-4], [1.0]]) + np.array([[-0.1], [0.0]])
    assert found.count == valid.sum()
    assert np.allclose(found.mean, physical.mean(1), rtol=1e-5)
    assert np.allclose(found.std, physical.std(1), rtol=1e-5)
    assert np.allclose(found.percentiles[98], np.percentile(physical, 98, axis=1), rtol=1e-5)
    assert np.allclose((found.min, found.max), (physical.min(1), physical.max(1)), rtol=1e-5)


def test_a_sample_of_a_large_part_comes_near_and_is_reproducible():
    values = noise(1500, 1500)
    data = Collection((scene(values),))
    found = band_statistics(data, sample=200_000, seed=3)
    assert found == band_statistics(data, sample=200_000, seed=3)
    assert found != band_statistics(data, sample=200_000, seed=4)
    assert 150_000 < found.count <= 200_000
    assert found.mean[1] == pytest.approx(1500, rel=0.01)


def test_only_pixels_of_the_part_count():
    class Top:
        def mask(self, window, part):
            top = np.arange(window.row, window.row_stop)[:, None] < 40
            return np.broadcast_to(top == (part == "train"), window.shape)

    values = noise(100, 100)
    values[:, 40:] = 60_000
    found = band_statistics(Collection((scene(values, part=Top()),)))
    assert found.count == (values[:, :40] != 0).all(0).sum()
    assert found.max[1] < 3000


def test_layers_of_other_grids_count_where_the_scene_is():
    fine, coarse = tiny.grid(40, 40), tiny.grid(10, 10, size=80.0)
    flat = ArraySource(np.arange(100, dtype=np.float32).reshape(1, 10, 10), Bands("r", (Band("vv", "dB"),)), coarse)
    image = ArraySource(noise(40, 40) + np.uint16(1), BANDS, fine)
    found = band_statistics(Collection((Scene("a", {"image": image, "radar": flat}, part="train"),)), layer="radar")
    assert found.names == ("vv",)
    assert found.max[0] < 60  # the lower half of the coarse raster lies outside
    with pytest.raises(DataError, match="expected image, radar"):
        band_statistics(Collection((Scene("a", {"image": image, "radar": flat}, part="train"),)))


def test_what_has_no_statistics_is_refused():
    with pytest.raises(DataError, match="leak"):
        band_statistics(Collection((scene(noise(9, 9), part="test"),)), "test")
    with pytest.raises(DataError, match="no valid pixel"):
        band_statistics(Collection((scene(np.zeros((2, 9, 9), np.uint16)),)))
    constant = noise(9, 9) + np.uint16(1)
    constant[1] = 7
    with pytest.raises(DataError, match=r"does not vary.*nir \(nir is 7 everywhere\)"):
        band_statistics(Collection((scene(constant),)))
    with pytest.raises(DataError, match="'train' part"):
        band_statistics(Collection((scene(noise(9, 9), part="val"),)))
