"""Mosaics from files: what is read, and one clear error for what cannot be."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skies import gaussian, mosaic, sky, tangent_plane
from swath.errors import DataError, GridError, ReadError
from swath.sky.files import Picture, find_field, read_band, read_picture
from swath.sky.mosaics import Mosaic, brought_over, coadd, make_mosaic, on_one_grid
from swath.sky.photometry import aperture
from swath.sky.spread import fwhm


def write(path: Path, band: str = "VIS", drop: tuple[str, ...] = (), pixel: float = 0.1, **planes: np.ndarray) -> Path:
    """A mosaic of noise with all that belongs to it; `planes` replace the picture or its extensions."""
    values = planes.pop("values", np.random.default_rng(0).normal(0, 2, (64, 64)))
    header = tangent_plane(64, pixel).to_header()
    header["FILTER"], header["MAGZERO"] = band, 25.0
    for card in drop:
        header.remove(card, ignore_missing=True)
    parts = {"RMS": np.full(values.shape, 2.0), "PSF": gaussian(2.0, 21)} | planes
    images = [fits.ImageHDU(v.astype(np.float32), name=k) for k, v in parts.items() if k not in drop]
    fits.HDUList([fits.PrimaryHDU(values.astype(np.float32), header), *images]).writeto(path)
    return path


def test_a_file_of_ones_own_is_in_microjansky(tmp_path: Path) -> None:
    values = np.zeros((64, 64))
    values[10, 20] = 100
    found = read_picture("VIS", Picture(write(tmp_path / "a.fits", values=values)))
    assert found.values[10, 20] == pytest.approx(100 * 10 ** (0.4 * (23.9 - 25)), rel=1e-5)
    assert found.rms[0, 0] == pytest.approx(2 * 10 ** (0.4 * (23.9 - 25)), rel=1e-5)
    assert found.scale == pytest.approx(0.1)
    assert found.psf.sum() == pytest.approx(1)


def test_weights_and_flags(tmp_path: Path) -> None:
    weight, flag = np.full((64, 64), 0.25), np.zeros((64, 64))
    weight[0, 0], flag[1, 1], flag[2, 2] = 0, 1, 4
    path = write(tmp_path / "a.fits", drop=("RMS",), WEIGHT=weight, FLAG=flag)
    found = read_picture("VIS", Picture(path))
    assert found.rms[9, 9] == pytest.approx(2 * 10 ** (0.4 * (23.9 - 25)))
    assert [tuple(p) for p in np.argwhere(found.bad)] == [(0, 0), (1, 1), (2, 2)]
    assert not read_picture("VIS", Picture(path), flag_bits=1).bad[2, 2]


def test_noise_is_estimated_where_it_is_not_given(tmp_path: Path) -> None:
    found = read_picture("VIS", Picture(write(tmp_path / "a.fits", drop=("RMS",))))
    assert np.median(found.rms) == pytest.approx(2 * 10 ** (0.4 * (23.9 - 25)), rel=0.1)


def test_bands_are_named_by_words_cards_and_folders(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.fits"), write(tmp_path / "b.fits", "h")
    assert list(find_field([str(tmp_path)])) == ["VIS", "H"]
    assert find_field([str(b), f"VIS={a}"]) == {"VIS": [Picture(a)], "H": [Picture(b)]}
    with pytest.raises(DataError, match="name its band"):
        find_field([str(write(tmp_path / "c.fits", drop=("FILTER",)))])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="No mosaic"):
        find_field([str(tmp_path / "empty")])


def test_published_tiles(tmp_path: Path) -> None:
    end = "TILE102018211-ACBD03_20241018T142710.276838Z_00.00.fits"
    folder = tmp_path / "NISP"
    folder.mkdir()
    image = write(folder / f"EUC_MER_BGSUB-MOSAIC-NIR-Y_{end}", drop=("RMS", "PSF", "FILTER"))
    for kind, value in (("RMS", 3.0), ("FLAG", 0)):
        plane = np.full((64, 64), value, np.float32 if kind == "RMS" else np.int32)
        fits.PrimaryHDU(plane).writeto(folder / f"EUC_MER_MOSAIC-NIR-Y-{kind}_{end}")
    # two stamps side by side, one for each half of the mosaic
    canvas = np.concatenate([gaussian(4.0, 19), gaussian(6.0, 19)], axis=1)
    table = {"x": [10.0, 55.0], "y": [30.0, 30.0], "x_center": [10.0, 29.0], "y_center": [10.0, 10.0]}
    columns = [fits.Column(k, "D", array=np.array(v)) for k, v in table.items()]
    stamps = fits.ImageHDU(canvas, fits.Header({"STMPSIZE": 19}))
    parts = [fits.PrimaryHDU(), stamps, fits.BinTableHDU.from_columns(columns)]
    fits.HDUList(parts).writeto(folder / f"EUC_MER_CATALOG-PSF-NIR-Y_{end}")
    field = find_field([str(tmp_path)])
    assert list(field) == ["Y"]
    assert field["Y"][0].image == image
    found = read_band("Y", field["Y"])
    assert found.rms[0, 0] == pytest.approx(3 * 10 ** (0.4 * (23.9 - 25)))
    assert [fwhm(found.psf_at(30, col)) for col in (5, 60)] == pytest.approx([4.0, 6.0], rel=0.03)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"drop": ("CTYPE1", "CTYPE2")}, GridError, "no projection of the sky"),
        ({"drop": ("MAGZERO",)}, DataError, "no zero point"),
        ({"drop": ("PSF",)}, DataError, "no point spread"),
        ({"values": np.full((64, 64), np.nan)}, DataError, "4096 pixels"),
        ({"RMS": np.full((64, 64), -1.0)}, DataError, "not positive"),
        ({"RMS": np.full((64, 64), np.nan)}, DataError, "not positive"),
        ({"RMS": np.ones((8, 8))}, GridError, "do not fit"),
        ({"drop": ("RMS",), "WEIGHT": np.full((64, 64), -1.0)}, DataError, "negative weights"),
        ({"drop": ("RMS",), "WEIGHT": np.full((64, 64), np.nan)}, DataError, "not numbers"),
        ({"FLAG": np.ones((64, 64))}, DataError, "Every pixel"),
        ({"PSF": np.zeros((9, 9))}, DataError, "point spread"),
    ],
    ids=lambda value: None,
)
def test_what_cannot_be_used(tmp_path: Path, change: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        read_picture("VIS", Picture(write(tmp_path / "a.fits", **change)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no file"):
        find_field([str(tmp_path / "absent.fits")])
    (tmp_path / "text.fits").write_text("this is no FITS file")
    with pytest.raises(ReadError, match="cannot be read as FITS"):
        find_field([str(tmp_path / "text.fits")])
    whole = write(tmp_path / "whole.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ReadError, match="cannot be read as FITS"):
        read_picture("VIS", Picture(tmp_path / "cut.fits"))


def test_other_pixels_are_refused_unless_they_may_be_brought_over() -> None:
    vis = sky([], {"VIS": 2.0}, {"VIS": 1.0}, 90)[0]
    coarse = mosaic(np.random.default_rng(0).normal(0, 1, (30, 30)), 1.0, 2.0, "H", 0.3)
    with pytest.raises(GridError, match=r'0\.3000"'):
        on_one_grid([vis, coarse])
    assert on_one_grid([vis, coarse], resample=True)[1].values.shape == (90, 90)
    with pytest.raises(DataError, match="stands twice"):
        on_one_grid([vis, vis])


def test_bringing_over_keeps_flux_width_and_the_noise_of_sums() -> None:
    rng = np.random.default_rng(2)
    [coarse] = sky([(50.2, 49.7, {"H": 4000.0})], {"H": 4.0}, {"H": 0.5}, 100)
    coarse = mosaic(coarse.values, 0.5, 4.0, "H", 0.3)
    fine = mosaic(np.zeros((300, 300)), 1.0, 2.0, "VIS", 0.1)
    found = brought_over(coarse, fine)
    ra, dec = coarse.wcs.wcs_pix2world(50.2, 49.7, 0)
    x, y = (np.atleast_1d(v) for v in fine.wcs.wcs_world2pix(ra, dec, 0))
    assert aperture(found, x, y, 45.0).flux[0] == pytest.approx(4000, rel=0.01)
    assert fwhm(found.psf) == pytest.approx(12.0, rel=0.03)
    noise = brought_over(mosaic(rng.normal(0, 0.5, (100, 100)), 0.5, 4.0, "H", 0.3), fine)
    grid = np.stack(np.meshgrid(np.arange(25, 275, 25.0), np.arange(25, 275, 25.0))).reshape(2, -1)
    sums = aperture(noise, *grid, 20.0)
    assert np.std(sums.flux) == pytest.approx(sums.error[0], rel=0.2)


def test_mosaics_of_other_skies_do_not_overlap() -> None:
    there = mosaic(np.ones((20, 20)), band="H")
    there.wcs.wcs.crval = [10.0, -40.0]
    with pytest.raises(GridError, match="overlap"):
        brought_over(there, mosaic(np.ones((20, 20))))


def test_pictures_of_one_band_are_joined_by_inverse_variance() -> None:
    one, two = mosaic(np.full((16, 16), 1.0), 1.0, 2.0), mosaic(np.full((16, 16), 4.0), 2.0, 4.0)
    one.bad[3, 3] = one.bad[4, 4] = two.bad[4, 4] = True
    found: Mosaic = coadd([one, two])
    assert found.values[0, 0] == pytest.approx(1.6)
    assert found.rms[0, 0] == pytest.approx(1 / np.sqrt(1.25))
    assert found.values[3, 3] == pytest.approx(4.0)
    assert [tuple(p) for p in np.argwhere(found.bad)] == [(4, 4)]
    assert 2.0 < fwhm(found.psf) < 4.0
    with pytest.raises(GridError, match="several grids"):
        coadd([one, mosaic(np.ones((8, 8)))])


def test_pixels_must_be_square() -> None:
    wcs = tangent_plane(16)
    wcs.wcs.cd = np.array([[-0.1, 0], [0, 0.3]]) / 3600
    with pytest.raises(GridError, match="not square"):
        make_mosaic("VIS", np.ones((16, 16)), np.ones((16, 16)), gaussian(2.0), wcs, zero_point=25)
