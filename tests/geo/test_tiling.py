import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import ConfigError
from swath.geo.tiling import Tiling, weights
from swath.geo.windows import Window, whole


@st.composite
def tilings(draw):
    size = draw(st.integers(1, 20))
    shape = (draw(st.integers(1, 60)), draw(st.integers(1, 60)))
    aligned = draw(st.booleans())
    return Tiling(shape, size, draw(st.integers(0, size - 1)), aligned, aligned and draw(st.booleans()))


@settings(deadline=None)
@given(tilings())
def test_tiles_cover_and_cores_partition(tiling):
    covered, owned = np.zeros(tiling.shape, int), np.zeros(tiling.shape, int)
    for index, tile in enumerate(tiling):
        inside = tile.intersect(whole(tiling.shape))
        assert not inside.empty
        covered[inside.slices] += 1
        core = tiling.core(index)
        assert tile.contains(core)
        assert not core.empty
        owned[core.slices] += 1
    assert covered.min() >= 1
    assert (owned == 1).all()


@settings(deadline=None)
@given(tilings())
def test_aligned_tiles_stay_inside_where_they_fit(tiling):
    for tile in tiling:
        if tiling.aligned and tiling.size <= min(tiling.shape):
            assert whole(tiling.shape).contains(tile)
        assert tile.shape == (tiling.size, tiling.size)
        assert min(tile.row, tile.col) >= 0


@settings(deadline=None)
@given(tilings())
def test_neighbours_share_at_least_the_overlap(tiling):
    for starts in tiling.starts:
        steps = np.diff(starts)
        assert (steps > 0).all()
        assert (steps <= tiling.size - tiling.overlap).all()


@settings(deadline=None)
@given(tilings(), st.sampled_from(["cosine", "linear", "none"]))
def test_stitching_gives_the_raster_back(tiling, kind):
    raster = np.random.default_rng(0).random(tiling.shape)
    padded = np.zeros([n + tiling.size for n in tiling.shape])
    padded[whole(tiling.shape).slices] = raster
    blended, total, cropped = np.zeros_like(padded), np.zeros_like(padded), np.zeros(tiling.shape)
    weight = weights(tiling.size, tiling.overlap, kind).astype(float)
    for index, tile in enumerate(tiling):
        values = padded[tile.slices]
        blended[tile.slices] += weight * values
        total[tile.slices] += weight
        core = tiling.core(index)
        cropped[core.slices] = values[core.relative_to(tile).slices]
    np.testing.assert_array_equal(cropped, raster)
    np.testing.assert_allclose((blended / np.maximum(total, 1e-300))[whole(tiling.shape).slices], raster)


@settings(deadline=None)
@given(tilings())
def test_rows_list_every_tile_once_in_order(tiling):
    rows = list(tiling.rows())
    assert [index for row in rows for index in row] == list(range(len(tiling)))
    for row in rows:
        assert len({tiling[index].row for index in row}) == 1
    assert len(list(tiling)) == len(tiling)


def test_tiles_by_hand():
    aligned = Tiling((10, 7), size=4, overlap=1)
    assert aligned.starts == ((0, 3, 6), (0, 3))
    assert list(aligned)[1] == Window(0, 3, 4, 4)
    assert Tiling((9, 4), 4, 0).starts == ((0, 4, 5), (0,))
    assert Tiling((9, 4), 4, 0, aligned=False).starts == ((0, 4, 8), (0,))
    assert list(Tiling((2, 3), 5)) == [Window(0, 0, 5, 5)]
    assert Tiling((9, 4), 4, 0).core(1) == Window(4, 0, 2, 4)


@settings(deadline=None)
@given(st.integers(1, 64), st.data(), st.sampled_from(["cosine", "linear"]))
def test_weights_are_positive_and_neighbours_sum_to_one(size, data, kind):
    overlap = data.draw(st.integers(0, size - 1))
    weight = weights(size, overlap, kind)
    assert weight.dtype == np.float32
    assert weight.min() > 0
    np.testing.assert_allclose(weight, weight[::-1, ::-1])
    if 0 < overlap <= size // 2:
        line = np.sqrt(np.diag(weight))
        np.testing.assert_allclose(line[:overlap] + line[-overlap:], 1, rtol=1e-5)


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (4, 4), (4, -1)])
def test_impossible_tiles_are_refused(size, overlap):
    with pytest.raises(ConfigError):
        Tiling((10, 10), size, overlap)
    with pytest.raises(ConfigError):
        weights(size, overlap)


def test_unknown_weights_and_empty_rasters_are_refused():
    with pytest.raises(ConfigError, match="gaussian"):
        weights(8, 2, "gaussian")
    with pytest.raises(ConfigError):
        Tiling((0, 10), 4)
    with pytest.raises(IndexError):
        Tiling((8, 8), 4)[4]


@given(length=st.integers(1, 9000), size=st.integers(2, 2048), data=st.data())
def test_even_tiles_are_as_many_and_evenly_spread(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    starts = Tiling((length, length), size, overlap, even=True).starts[0]
    count = 1 + max(0, int(np.ceil((length - size) / (size - overlap))))
    assert starts == tuple(int(v + 1e-9) for v in np.linspace(0, max(length - size, 0), count))


def test_even_tiles_by_hand():
    assert Tiling((2048, 1000), 1024, 256, even=True).starts == ((0, 512, 1024), (0,))
    assert len(Tiling((2048, 2048), 1024, 256, even=True)) == 9
    with pytest.raises(ConfigError, match="evenly"):
        Tiling((9, 9), 3, aligned=False, even=True)
