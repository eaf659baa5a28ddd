import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio import warp as gdal_warp

from geo.grid_cases import north_up
from swath.errors import ConfigError
from swath.geo.positions import pixel_map
from swath.geo.resampling import resample

SOURCE = north_up("EPSG:32632", 712_000, 5_300_000, 10.0, 160, 160)


def target(factor, crs="EPSG:32633", size=100):
    """A grid inside `SOURCE`, in another zone or the same one."""
    x, y = Transformer.from_crs(32632, crs, always_xy=True).transform(712_200, 5_299_700)
    count = int(size / max(factor, 1))
    return north_up(crs, x + 3.3, y - 4.1, 10.0 * factor, count, count)


def gdal(values, to, resampling):
    """GDAL with exact positions, its kernels widened by the true scale instead of by that of bounding boxes."""
    out = np.zeros((len(values), *to.shape), values.dtype)
    scale = min(1.0, SOURCE.affine.a / to.affine.a)
    gdal_warp.reproject(
        values,
        out,
        src_transform=SOURCE.affine,
        src_crs="EPSG:32632",
        dst_transform=to.affine,
        dst_crs=str(to.crs),
        resampling=gdal_warp.Resampling[resampling],
        tolerance=0,
        XSCALE=scale,
        YSCALE=scale,
    )
    return out


def smooth():
    rows, cols = np.mgrid[:160, :160]
    return np.stack([1000 + 300 * np.sin(rows / 9) * np.cos(cols / 13), rows * 5.0 + cols]).astype(np.float32)


def noise(dtype=np.float32, top=1000):
    return np.random.default_rng(3).integers(0, top, (2, 160, 160)).astype(dtype)


@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.3])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:32632"])
def test_values_are_those_of_gdal(resampling, factor, crs):
    to = target(factor, crs)
    valid = np.ones((160, 160), bool)
    for values in (smooth(), noise()):
        got, kept = resample(values, valid, pixel_map(to, SOURCE, 1e-4), resampling)
        assert kept.all()
        # GDAL's own positions are 0.0009 px off between these zones; noise changes by up to 1000 a pixel
        np.testing.assert_allclose(got, gdal(values, to, resampling), atol=2.5)


@pytest.mark.parametrize("factor", [2.0, 3.3, 8.0])
def test_average_is_that_of_gdal(factor):
    valid = np.ones((160, 160), bool)
    to = target(factor, "EPSG:32632")
    got, _ = resample(noise(), valid, pixel_map(to, SOURCE), "average")
    np.testing.assert_allclose(got, gdal(noise(), to, "average"), atol=0.01)
    # between zones GDAL's boxes are up to 7 % wider or narrower, because it turns two corners of each pixel
    to = target(factor)
    got, _ = resample(smooth(), valid, pixel_map(to, SOURCE), "average")
    np.testing.assert_allclose(got, gdal(smooth(), to, "average"), atol=6)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.3])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_nearest_is_that_of_gdal(factor, dtype):
    values = noise(dtype, 120)
    to = target(factor)
    got, _ = resample(values, np.ones((160, 160), bool), pixel_map(to, SOURCE, 1e-4), "nearest")
    assert got.dtype == dtype
    assert (got == gdal(values, to, "nearest")).mean() > 0.998


def test_average_by_whole_blocks_is_their_mean():
    values = noise()
    to = GeoBox((40, 40), SOURCE.affine @ Affine.scale(4), SOURCE.crs)
    got, _ = resample(values, np.ones((160, 160), bool), pixel_map(to, SOURCE), "average")
    np.testing.assert_allclose(got, values.reshape(2, 40, 4, 40, 4).mean((2, 4)), rtol=1e-5)


def test_average_of_valid_pixels_only():
    values = noise()
    valid = np.random.default_rng(5).random((160, 160)) > 0.4
    values[:, ~valid] = np.nan
    to = GeoBox((40, 40), SOURCE.affine @ Affine.scale(4), SOURCE.crs)
    got, kept = resample(values, valid, pixel_map(to, SOURCE), "average")
    blocks, counts = values.reshape(2, 40, 4, 40, 4), valid.reshape(40, 4, 40, 4).sum((1, 3))
    np.testing.assert_array_equal(kept, counts >= 8)
    np.testing.assert_allclose(got[:, kept], np.nanmean(blocks, (2, 4))[:, kept], rtol=1e-5)
    assert (got[:, ~kept] == 0).all()


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:32632"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("factor", [0.7, 2.5])
def test_invalid_pixels_never_bleed(crs, resampling, factor):
    valid = np.random.default_rng(5).random((160, 160)) > 0.3
    values = np.where(valid, np.float32(7), np.float32(1e30))[None]
    got, kept = resample(values, valid, pixel_map(target(factor, crs), SOURCE), resampling)
    assert 0.2 < kept.mean() < 1
    np.testing.assert_allclose(got[0], np.where(kept, 7, 0), rtol=1e-5)


def test_half_of_the_weight_decides_validity():
    valid = np.ones((160, 160), bool)
    valid[:, 80:] = False
    values = noise()
    for shift, row in ((4.9, 79), (5.1, 79)):
        to = north_up("EPSG:32632", 712_000 + 790 + shift, 5_299_990, 10.0, 1, 1)
        got, kept = resample(values, valid, pixel_map(to, SOURCE), "bilinear")
        assert kept.item() == (shift < 5)
        assert got[0].item() == pytest.approx(values[0, 1, row] if kept.item() else 0)


def test_pixels_outside_are_invalid():
    to = north_up("EPSG:32633", 0, 0, 10.0, 5, 5)
    got, kept = resample(noise(), np.ones((160, 160), bool), pixel_map(to, SOURCE), "cubic")
    assert not kept.any()
    assert not got.any()


@pytest.mark.parametrize(("resampling", "dtype"), [("bilinear", np.uint8), ("cubic", np.uint16), ("cubic", np.int16)])
def test_integers_are_rounded_and_kept_in_their_type(resampling, dtype):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(1).choice([limits.min, limits.max], (1, 160, 160)).astype(dtype)
    positions = pixel_map(target(0.7, "EPSG:32632"), SOURCE)
    got, kept = resample(values, np.ones((160, 160), bool), positions, resampling)
    true, _ = resample(values.astype(np.float64), np.ones((160, 160), bool), positions, resampling)
    assert got.dtype == dtype
    assert kept.all()
    # float32 weights may tip a value over the edge
    assert np.abs(got - np.floor(np.clip(true, limits.min, limits.max) + 0.5)).max() <= 1
    assert {got.min(), got.max()} == {limits.min, limits.max}


def test_unknown_resampling_and_mixed_flags_are_refused():
    positions = pixel_map(SOURCE, SOURCE)
    with pytest.raises(ConfigError, match="lanczos"):
        resample(noise(), np.ones((160, 160), bool), positions, "lanczos")
    with pytest.raises(ConfigError, match="Flags"):
        resample(noise() > 500, np.ones((160, 160), bool), positions, "bilinear")
