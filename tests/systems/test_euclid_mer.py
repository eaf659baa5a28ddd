"""Euclid MER from the command line: simulated skies with their truth, HST and HSC of one field."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sep
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

import swath
from swath.cli import main
from swath.errors import DataError, ReadError, RunError, UnknownNameError
from swath.simulate.sky import TELESCOPES, Sky, SkyConfig
from swath.simulate.sky_files import write_sky
from swath.sky.catalogue import read_catalogue
from swath.sky.task import SkyData
from swath.tasks.task import Task

#: Columns of the published catalogue, for VIS and one other band.
PUBLISHED = {
    "OBJECT_ID",
    "RIGHT_ASCENSION",
    "DECLINATION",
    "SEGMENTATION_MAP_ID",
    "VIS_DET",
    "FLUX_DETECTION_TOTAL",
    "FLUXERR_DETECTION_TOTAL",
    "FLUX_VIS_PSF",
    "FLUXERR_VIS_PSF",
    "FLUX_VIS_1FWHM_APER",
    "FLUX_VIS_4FWHM_APER",
    "FLUX_H_2FWHM_APER",
    "FLUXERR_H_2FWHM_APER",
    "FLUX_H_TEMPLFIT",
    "FLUXERR_H_TEMPLFIT",
    "FLUX_VIS_SERSIC",
    "FLUX_H_SERSIC",
    "FLAG_VIS",
    "FLAG_H",
    "KRON_RADIUS",
    "SEGMENTATION_AREA",
    "SEMIMAJOR_AXIS",
    "POSITION_ANGLE",
    "ELLIPTICITY",
    "FWHM",
    "MUMAX_MINUS_MAG",
    "POINT_LIKE_PROB",
    "SPURIOUS_PROB",
    "SPURIOUS_FLAG",
    "DET_QUALITY_FLAG",
}
#: Neither profiles nor morphology.
QUICK = ["--profile_significance", "1e9", "--morphology_significance", "1e9"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field of 24 arcsec in VIS, H and g on the grid of VIS, with its truth."""
    wanted = {"euclid_vis": ("VIS",), "euclid_nisp": ("H",), "decam": ("g",)}
    telescopes = [
        replace(TELESCOPES[name], pixel=0.1, filters={b: TELESCOPES[name].filters[b] for b in bands})
        for name, bands in wanted.items()
    ]
    place = tmp_path_factory.mktemp("field")
    write_sky(Sky(SkyConfig(seed=7, width=24.0, galaxies=130, stars=50)), place, telescopes)
    return place


def test_a_catalogue_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    output, run = tmp_path / "catalogue.fits", tmp_path / "run"
    few = ["--profile_significance", "60", "--morphology_significance", "150"]
    assert main(["fit", "euclid_mer", str(folder), "-o", str(run), *few]) == 0
    assert main(["predict", str(run), str(folder), "-o", str(output)]) == 0
    catalogue = read_catalogue(output)
    assert set(catalogue) >= PUBLISHED
    assert catalogue["OBJECT_ID"].is_unique
    assert catalogue["FLUX_H_SERSIC"].notna().any()
    assert catalogue["GINI"].notna().any()
    with fits.open(output) as hdus:
        table = Table.read(hdus["CATALOGUE"])
        assert {str(table[n].unit) for n in table.colnames if n.startswith("FLUX")} == {"uJy"}
        assert str(table["RIGHT_ASCENSION"].unit) == "deg"
    with fits.open(tmp_path / "catalogue_segmap.fits") as hdus:
        segments, wcs = hdus["SEGMAP"].data, WCS(hdus["SEGMAP"].header)
    assert segments.shape == (240, 240)
    # identifiers, pixels and sky positions tell of the same sources
    x, y = wcs.wcs_world2pix(catalogue["RIGHT_ASCENSION"], catalogue["DECLINATION"], 1)
    assert x == pytest.approx(catalogue["X_IMAGE"].to_numpy(), abs=1e-3)
    compact = (catalogue["ELLIPTICITY"] < 0.5).to_numpy()
    at = segments[np.round(y).astype(int) - 1, np.round(x).astype(int) - 1]
    assert (at == catalogue["SEGMENTATION_MAP_ID"])[compact].mean() > 0.95
    assert (tmp_path / "catalogue_plots.png").stat().st_size > 10_000


def test_beats_fixed_apertures_on_a_sky_it_was_not_tuned_on(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["score", "euclid_mer", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    [plain] = found["baselines"].values()
    own = found["system"]
    assert own["completeness"]["value"] >= 0.95
    assert own["false_rate"]["value"] <= 0.02
    assert own["colour_error"]["value"] < 0.6 * plain["colour_error"]["value"]
    assert own["colour_error_apertures"]["value"] < plain["colour_error"]["value"]


def test_a_run_keeps_the_threshold_that_the_noise_asks_for(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["fit", "euclid_mer", str(folder), "-o", str(run), *QUICK]) == 0
    loaded = Task.load(run)
    assert loaded.settings.threshold in (3.0, 3.5, 4.0, 4.5)  # type: ignore[attr-defined]
    # noise maps that tell half of the noise ask for twice the threshold
    vis = tmp_path / "vis.fits"
    with fits.open(folder / "euclid_vis_VIS.fits") as hdus:
        hdus["RMS"].data /= 2
        hdus.writeto(vis)
    task = swath.create("euclid_mer")
    task.fit(SkyData(task.open_source([str(vis)])), tmp_path / "other")
    assert task.settings.threshold >= 6.0
    words = ["predict", str(run), f"VIS={vis}", str(folder / "decam_g.fits"), "-o", str(tmp_path / "c.fits")]
    assert main([*words, "--plots", "false"]) == 0
    assert "FLUX_G_TEMPLFIT" in read_catalogue(tmp_path / "c.fits")


def test_bad_words_are_one_error(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = ["-o", str(tmp_path / "c.fits")]
    assert main(["predict", "euclid_mer", str(folder / "absent.fits"), *out]) != 0
    assert "There is no file" in capsys.readouterr().err
    assert main(["predict", "euclid_mer", str(folder / "decam_g.fits"), *out]) != 0
    assert "band of detection is absent" in capsys.readouterr().err
    write_sky(Sky(SkyConfig(seed=1, width=6.0)), tmp_path / "coarse", [TELESCOPES["euclid_nisp"]])
    other = tmp_path / "coarse" / "euclid_nisp_H.fits"
    assert main(["predict", "euclid_mer", str(folder / "euclid_vis_VIS.fits"), str(other), *out]) != 0
    assert "another grid" in capsys.readouterr().err
    assert not (tmp_path / "c.fits").exists()
    assert not list(tmp_path.glob(".sky-*"))


def test_bad_calls(folder: Path, tmp_path: Path) -> None:
    task = swath.create("euclid_mer")
    with pytest.raises(DataError, match="no CRS"):
        task.open_source([str(folder)], crs="EPSG:4326")
    with pytest.raises(ReadError, match="no folder"):
        task.open_data(str(tmp_path / "absent"))
    with pytest.raises(DataError, match="no truth"):
        task.score(SkyData(task.open_source([str(folder)])))
    (tmp_path / "vis.fits").write_bytes((folder / "euclid_vis_VIS.fits").read_bytes())
    Table({"a": [1]}).write(tmp_path / "truth.fits")
    with pytest.raises(DataError, match="no table of true sources"):
        task.open_data(str(tmp_path))
    with pytest.raises(UnknownNameError, match="no option"):
        swath.create("euclid_mer", sigma=3)
    with pytest.raises(RunError, match="settings"):
        task.recall(tmp_path, {"settings": {"nir": 3}})


@pytest.fixture
def cosmos(data_folder: Path, tmp_path: Path) -> Path:
    """HST F814W (0.03 arcsec) as the sharp band, HSC i (0.168 arcsec) beside it, as files of one's own."""
    source = data_folder / "sky_images" / "scarlet"

    def put(name: str, values: np.ndarray, header: fits.Header, psf: np.ndarray, zero_point: float) -> None:
        cards = WCS(header).celestial.to_header()
        cards["FILTER"], cards["MAGZERO"] = name, zero_point
        parts = [fits.PrimaryHDU(values.astype(np.float32), cards), fits.ImageHDU(psf.astype(np.float32), name="PSF")]
        fits.HDUList(parts).writeto(tmp_path / f"{name}.fits")

    with fits.open(source / "Cut_HST1.fits") as image, fits.open(source / "PSF_HST.fits") as psf:
        put("VIS", image[0].data, image[0].header, psf[0].data, 25.94)
    with fits.open(source / "Cut_HSC1.fits") as image, fits.open(source / "PSF_HSC.fits") as psf:
        put("I_EXT_HSC", image[0].data[2], image[0].header, psf[0].data[2], 27.0)
    return tmp_path


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_hst_and_hsc_of_one_field(cosmos: Path) -> None:
    """F814W and i see the same light: their ratio is one number for all sources, whatever the two units are."""
    task = swath.create("euclid_mer", nir=(), profile_significance=1e9, morphology_significance=1e9)
    source = task.open_source([str(cosmos)])
    task.fit(SkyData(source), cosmos / "run", resample=True)
    assert task.settings.threshold > 4  # the noise of drizzled pixels is correlated
    task.predict(source, cosmos / "catalogue.fits", resample=True, plots=False)
    catalogue = read_catalogue(cosmos / "catalogue.fits")
    bright = catalogue[catalogue["FLUX_DETECTION_TOTAL"] > 60 * catalogue["FLUXERR_DETECTION_TOTAL"]]
    assert len(bright) >= 4
    matched = magnitudes(bright["FLUX_I_EXT_HSC_1FWHM_APER"] / bright["FLUX_VIS_1FWHM_APER"])
    fixed = magnitudes(in_circles(cosmos / "I_EXT_HSC.fits", bright) / in_circles(cosmos / "VIS.fits", bright))
    assert np.std(matched) < 0.6 * np.std(fixed)
    assert np.isfinite(bright["FLUX_I_EXT_HSC_TEMPLFIT"]).all()


def in_circles(path: Path, sources: pd.DataFrame) -> np.ndarray:
    """Sums in circles of 1 arcsec on a file as it is."""
    with fits.open(path) as hdus:
        values, wcs = np.ascontiguousarray(hdus[0].data, np.float64), WCS(hdus[0].header)
    values -= sep.Background(values, bw=64, bh=64).back()
    x, y = wcs.wcs_world2pix(sources["RIGHT_ASCENSION"], sources["DECLINATION"], 0)
    pixel = 3600 * abs(wcs.wcs.cdelt[0] * wcs.wcs.get_pc()[0, 0])
    return sep.sum_circle(values, x, y, 0.5 / pixel)[0]


def magnitudes(ratio: np.ndarray) -> np.ndarray:
    return np.asarray(2.5 * np.log10(ratio))
