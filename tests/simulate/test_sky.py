"""The sky: light is kept, profiles and projection are those of astropy, noise and depth are as stated."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special

from swath.cli import main
from swath.errors import ConfigError, MissingExtraError, UnknownNameError
from swath.simulate import galaxies, sky_files
from swath.simulate.sky import TELESCOPES, Filter, Sky, SkyConfig, observe, places

QUIET = SkyConfig(seed=2, width=40.0, galaxies=60.0, stars=8.0)


@pytest.fixture(scope="module")
def field():
    return Sky(QUIET)


@pytest.mark.parametrize("n", [0.5, 1.0, 2.5, 4.0])
def test_a_profile_is_the_hankel_transform_of_its_definition(n):
    b = galaxies.sersic_b(n)
    for k in (0.05, 0.6, 3.0):
        step = np.linspace(0, galaxies.CUT ** (1 / 4), 400_001)
        r = step**4  # fine steps where the profile is steep
        light = np.exp(-b * r ** (1 / n)) * 2 * np.pi * r
        top, whole = (integrate.trapezoid(y, r) for y in (light * special.j0(k * r), light))
        assert galaxies.sersic_transform(n, np.array([k]))[0] == pytest.approx(top / whole, abs=2e-4)


def test_the_optics_are_astropys_moffat():
    models = pytest.importorskip("astropy.modeling.models")
    fwhm, beta = 6.0, 4.765
    made = galaxies.stamp((48.5, 40.2), 97, fwhm, beta, None, 1)
    core = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    rows, cols = np.mgrid[:97, :97] + 0.5
    fine = (np.arange(5) - 2) / 5
    model = models.Moffat2D(1, 48.5, 40.2, core, beta)
    expected = np.mean([[model(cols + dx, rows + dy) for dx in fine] for dy in fine], (0, 1))
    assert made == pytest.approx(expected / expected.sum(), abs=2e-3 * made.max())
    assert made.sum() == pytest.approx(1)


def test_a_galaxy_is_astropys_sersic():
    models = pytest.importorskip("astropy.modeling.models")
    n, radius, ratio, angle = 1.0, 9.0, 0.5, 0.6
    made = galaxies.stamp((100.3, 96.0), 360, 1.2, 4.765, (n, radius, ratio, angle), 5)
    rows, cols = np.mgrid[:360, :360] + 0.5
    model = models.Sersic2D(1, radius, n, 100.3, 96.0, 1 - ratio, angle)
    far = np.hypot(cols - 100.3, rows - 96.0) > 6  # the optics blur the middle
    expected = model(cols, rows)
    expected /= np.pi * 2 * radius**2 * ratio * np.exp(galaxies.sersic_b(n)) / galaxies.sersic_b(n) ** 2
    near = far & (np.hypot(cols - 100.3, rows - 96.0) < 25)
    assert made[near] == pytest.approx(expected[near], rel=0.04)
    assert made.sum() == pytest.approx(1)


def test_light_is_kept_by_every_telescope(field):
    """A source in the middle of an empty field gives exactly its flux in all pixels and filters."""
    for telescope in TELESCOPES.values():
        for band, through in telescope.filters.items():
            alone = Sky(replace(QUIET, width=60.0))
            row = field.catalogue[field.catalogue["kind"] == "galaxy"].nlargest(1, "mag").copy()
            alone.__dict__["catalogue"] = row.assign(ra=QUIET.ra, dec=QUIET.dec, radius=0.4)
            counts = observe(alone, telescope, band).clean.sum()
            expected = alone.flux(through)[0] * 10 ** (0.4 * (telescope.zero_point - 23.9))
            assert counts == pytest.approx(expected, rel=1e-6)


def test_positions_are_those_of_astropys_projection(field):
    wcs = pytest.importorskip("astropy.wcs")
    fits = pytest.importorskip("astropy.io.fits")
    seen = observe(field, "decam", "r")
    projection = wcs.WCS(fits.Header(seen.wcs))
    table = field.catalogue
    expected = projection.wcs_world2pix(table[["ra", "dec"]].to_numpy(), 0).T
    assert np.stack(places(field, table["ra"], table["dec"], 0.263)) == pytest.approx(expected, abs=1e-6)
    far = Sky(replace(QUIET, ra=359.99, dec=-75.0, width=600.0))
    inside = np.stack(places(far, far.catalogue["ra"], far.catalogue["dec"], 1.0))
    assert inside.min() > -1
    assert inside.max() < 601


def test_a_bright_star_stands_where_the_catalogue_says(field):
    star = field.catalogue.query("kind == 'star'").nsmallest(1, "mag")
    seen = observe(field, "euclid_vis", "VIS")
    col, row = (float(v[0]) for v in places(field, star["ra"].to_numpy(), star["dec"].to_numpy(), 0.1))
    top, left = round(row) - 5, round(col) - 5
    stamp = seen.clean[top : top + 11, left : left + 11]
    centre = [(stamp.sum(axis) * np.arange(11)).sum() / stamp.sum() for axis in (1, 0)]
    assert centre == pytest.approx([row - top, col - left], abs=0.15)


def test_depth_is_the_five_sigma_magnitude():
    """Matched filtering of a star of the stated depth has a signal-to-noise ratio of five."""
    empty = Sky(replace(QUIET, galaxies=0.0, stars=0.0))
    for name, band in (("euclid_vis", "VIS"), ("decam", "z")):
        seen = observe(empty, name, band)
        flux = 10 ** (0.4 * (seen.telescope.zero_point - seen.telescope.filters[band].depth))
        sigma = seen.values.std()
        assert flux * np.sqrt((seen.psf**2).sum()) / sigma == pytest.approx(5, rel=0.03)
        assert seen.rms == pytest.approx(sigma, rel=0.03)


def test_magnitudes_follow_the_spectra(field):
    table = field.catalogue
    reference = field.flux(Filter(715.0, 0.002, 0.2, 26.0))
    assert 23.9 - 2.5 * np.log10(reference) == pytest.approx(table["mag"].to_numpy(), abs=1e-4)
    star = (table["kind"] == "star").to_numpy()
    blue, red = (field.flux(TELESCOPES["decam"].filters[b]) for b in "gz")
    colour = 2.5 * np.log10(red / blue)
    # hot stars are blue, distant old galaxies are red
    assert np.corrcoef(colour[star], -table["kelvin"][star])[0, 1] > 0.9
    # Rayleigh and Jeans: f_nu ~ nu^2 at long waves
    long = galaxies.black_body(np.array([1e6, 2e6]), np.array(9000.0))
    assert long[0] / long[1] == pytest.approx(4, rel=1e-2)


def test_a_sky_is_a_function_of_its_settings(field):
    assert Sky(QUIET).catalogue.equals(field.catalogue)
    one, two = (observe(Sky(QUIET), "decam", "g").values for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(observe(Sky(replace(QUIET, seed=3)), "decam", "g").values, one)


def test_files_open_in_astropy(tmp_path, capsys):
    fits = pytest.importorskip("astropy.io.fits")
    assert main(["simulate", "sky", "-o", str(tmp_path), "--size", "20arcsec", "--seed", "4"]) == 0
    paths = capsys.readouterr().out.split()
    assert len(paths) == 9
    with fits.open(tmp_path / "truth.fits") as file:
        truth = file[1].data
        assert truth["mag_VIS"] == pytest.approx(23.9 - 2.5 * np.log10(truth["flux_VIS"]))
    with fits.open(tmp_path / "euclid_nisp_H.fits") as file:
        assert file[0].header["MAGZERO"] == 25
        assert file["RMS"].data.shape == file[0].data.shape == (67, 67)
        assert file["PSF"].data.sum() == pytest.approx(1, abs=1e-4)
        assert file[0].data == pytest.approx(observe(Sky(SkyConfig(seed=4, width=20.0)), "euclid_nisp", "H").values)


def test_bad_settings_are_refused(field, tmp_path, capsys, monkeypatch):
    for change in ({"ra": 400}, {"dec": np.nan}, {"width": 0}, {"galaxies": -1}, {"brightest": 27}):
        with pytest.raises(ConfigError):
            SkyConfig(**change)
    with pytest.raises(UnknownNameError, match="euclid_vis"):
        observe(field, "hubble", "VIS")
    with pytest.raises(UnknownNameError, match="VIS"):
        observe(field, "euclid_vis", "K")
    for words in (["--size", "3km"], ["--sensors", "rgb"]):
        assert main(["simulate", "sky", "-o", str(tmp_path), *words]) == 1
    assert "arcsec" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "astropy.io.fits", None)
    with pytest.raises(MissingExtraError, match="sky"):
        sky_files.write_sky(field, tmp_path)
