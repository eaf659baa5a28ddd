"""The whole chain on points and galaxies of known flux: crowded pairs, sources that VIS does not show, tiles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from skies import gaussian, sky
from swath.errors import ConfigError, DataError
from swath.geo.windows import Window
from swath.sky.measure import Settings, find, measure
from swath.sky.mosaics import Mosaic
from swath.sky.photometry import NEAR_STAR
from swath.sky.sersic import Sersic, draw
from swath.sky.tiles import measure_tiles, stage, staged

WIDTHS = {"VIS": 2.0, "H": 5.0, "U": 9.0}
NOISE = {"VIS": 0.02, "H": 0.02, "U": 0.02}
PLAIN = Settings(nir=("H",), profile_significance=1e9, morphology_significance=1e9)


def magnitudes(ratio: np.ndarray) -> np.ndarray:
    return 2.5 * np.log10(np.maximum(ratio, 1e-3))


def test_templates_part_pairs_that_apertures_mix() -> None:
    """Pairs 4.6 pixels apart: more than two full widths of VIS, less than one of H."""
    rng = np.random.default_rng(11)
    pairs = []
    for x in range(25, 240, 30):
        for y in range(25, 240, 30):
            angle = rng.uniform(0, 2 * np.pi)
            for sign in (-2.3, 2.3):
                vis = rng.uniform(8, 20)
                at = (x + sign * np.cos(angle), y + sign * np.sin(angle))
                pairs.append((*at, {"VIS": vis, "H": vis * 10 ** rng.uniform(-0.4, 0.4)}))
    table, _ = measure(sky(pairs, {"VIS": 2.0, "H": 5.0}, NOISE, 256), PLAIN)
    table = table[table["VIS_DET"] == 1]
    truth = np.array([(x, y, f["H"] / f["VIS"]) for x, y, f in pairs])
    distance, nearest = cKDTree(truth[:, :2]).query(table[["x", "y"]])
    assert len(table) == len(set(nearest)) == len(pairs)
    assert distance.max() < 1
    true = truth[nearest, 2]
    templates = magnitudes(table["FLUX_H_TEMPLFIT"] / table["FLUX_VIS_TO_H_TEMPLFIT"] / true)
    apertures = magnitudes(table["FLUX_H_1FWHM_APER"] / table["FLUX_VIS_1FWHM_APER"] / true)
    assert np.sqrt((templates**2).mean()) < 0.5 * np.sqrt((apertures**2).mean())
    # what is left of the error is the light of a neighbour in the template, not noise: small in magnitudes
    assert np.sqrt((templates**2).mean()) < 0.1


@pytest.fixture(scope="module")
def field() -> tuple[list[Mosaic], np.ndarray]:
    """Points and eight galaxies apart from each other; every tenth point shines in H alone."""
    rng = np.random.default_rng(12)
    places = [(x + rng.uniform(-4, 4), y + rng.uniform(-4, 4)) for x in range(20, 190, 30) for y in range(20, 190, 30)]
    rng.shuffle(places)
    points = [
        (x, y, {"VIS": 0.0 if i % 10 == 0 else 12.0, "H": 9.0, "U": 0.0 if i % 10 == 0 else 15.0})
        for i, (x, y) in enumerate(places[:28])
    ]
    bands = sky(points, WIDTHS, NOISE, 200, seed=13)
    colours = {"VIS": 40.0, "H": 60.0, "U": 20.0}
    for x, y in places[28:]:
        profile = Sersic(x, y, 3.0, 1.0, 0.7, rng.uniform(0, 3))
        for band in bands:
            band.values[:] += colours[band.band] * draw(profile, gaussian(WIDTHS[band.band]), 0, 0, (200, 200))
    truth = np.array([(x, y, f["VIS"], f["H"], f["U"]) for x, y, f in points])
    galaxies = np.array([(x, y, *colours.values()) for x, y in places[28:]])
    return bands, np.concatenate([truth, galaxies])


def test_fluxes_and_colours_are_the_true_ones(field: tuple[list[Mosaic], np.ndarray]) -> None:
    bands, truth = field
    settings = replace(PLAIN, profile_significance=30)
    table, segments = measure(bands, settings)
    distance, row = cKDTree(table[["x", "y"]]).query(truth[:, :2])
    assert (table["FLUX_DETECTION_TOTAL"] > 1).sum() == len(truth)
    assert len(table) <= len(truth) + 1
    assert distance.max() < 1
    found, hidden, galaxy = table.iloc[row], truth[:, 2] == 0, np.arange(len(truth)) >= 28
    assert (found["VIS_DET"].to_numpy() == ~hidden).all()
    assert found["FLUX_H_TEMPLFIT"][hidden].to_numpy() == pytest.approx(truth[hidden, 3], rel=0.05)
    seen = found[~hidden]
    true = truth[~hidden]
    assert seen["FLUX_DETECTION_TOTAL"].to_numpy() == pytest.approx(true[:, 2], rel=0.1)
    for i, band in ((3, "H"), (4, "U")):
        colour = true[:, i] / true[:, 2]
        for n in (1, 2):
            ratio = seen[f"FLUX_{band}_{n}FWHM_APER"] / seen[f"FLUX_VIS_{n}FWHM_APER"]
            assert ratio.to_numpy() == pytest.approx(colour, rel=0.1)
        ratio = seen[f"FLUX_{band}_TEMPLFIT"] / seen[f"FLUX_VIS_TO_{band}_TEMPLFIT"]
        assert ratio.to_numpy() == pytest.approx(colour, rel=0.06)
    stars, galaxies = found[~galaxy & ~hidden], found[galaxy]
    assert stars["FLUX_VIS_PSF"].to_numpy() == pytest.approx(np.full(len(stars), 12.0), rel=0.05)
    assert (stars["POINT_LIKE_PROB"] > 0.01).mean() > 0.95
    assert (galaxies["POINT_LIKE_PROB"] < 0.01).all()
    assert galaxies["FLUX_H_SERSIC"].to_numpy() == pytest.approx(60.0, rel=0.05)
    assert galaxies["SERSIC_SERSIC_VIS_RADIUS"].median() == pytest.approx(0.3, rel=0.05)
    assert galaxies["SERSIC_SERSIC_VIS_INDEX"].median() == pytest.approx(1.0, abs=0.1)
    assert (found["SPURIOUS_PROB"] < 0.5).all()
    assert segments.max() == len(table)


def test_tiles_give_each_source_once(field: tuple[list[Mosaic], np.ndarray], tmp_path: Path) -> None:
    bands, _ = field
    places = [stage(m, tmp_path) for m in bands]
    whole, _ = measure_tiles(places, PLAIN, tile=200)
    parts, segments = measure_tiles(places, PLAIN, tile=100, margin=50)
    distance, row = cKDTree(whole[["x", "y"]]).query(parts[["x", "y"]])
    assert len(parts) == len(whole) == len(set(row))
    assert distance.max() < 1e-6
    assert parts["SEGMENTATION_MAP_ID"].tolist() == list(range(1, len(parts) + 1))
    at = segments[parts["y"].round().astype(int), parts["x"].round().astype(int)]
    assert at.tolist() == parts["SEGMENTATION_MAP_ID"].tolist()
    for name in ("FLUX_DETECTION_TOTAL", "FLUX_H_TEMPLFIT", "FLUX_U_2FWHM_APER"):
        bright = (parts["FLUX_DETECTION_TOTAL"] > 1).to_numpy()
        assert parts[name].to_numpy()[bright] == pytest.approx(whole[name].to_numpy()[row][bright], rel=0.01)


def test_processes_give_what_one_gives(field: tuple[list[Mosaic], np.ndarray], tmp_path: Path) -> None:
    places = [stage(m, tmp_path) for m in field[0][:1]]
    one, _ = measure_tiles(places, PLAIN, tile=100, margin=50)
    two, _ = measure_tiles(places, PLAIN, tile=100, margin=50, workers=2)
    pd.testing.assert_frame_equal(one, two)


def test_staged_mosaics_come_back(field: tuple[list[Mosaic], np.ndarray], tmp_path: Path) -> None:
    mosaic = field[0][1]
    found = staged(stage(mosaic, tmp_path))
    assert (found.values == mosaic.values).all()
    assert found.band == "H"
    assert found.wcs.wcs_pix2world([[5, 7]], 0) == pytest.approx(mosaic.wcs.wcs_pix2world([[5, 7]], 0), abs=1e-10)
    cut = found.cut(Window(10, 20, 30, 40))
    assert (cut.values == mosaic.values[10:40, 20:60]).all()
    assert cut.wcs.wcs_pix2world([[0, 0]], 0) == pytest.approx(mosaic.wcs.wcs_pix2world([[20, 10]], 0), abs=1e-10)


def test_sources_near_bright_stars_are_flagged(field: tuple[list[Mosaic], np.ndarray]) -> None:
    vis = field[0][0]
    [[ra, dec]] = vis.wcs.wcs_pix2world([[100, 100]], 0)
    stars = pd.DataFrame({"ra": [ra], "dec": [dec], "mag": [15.0]})
    table, _ = measure([vis], PLAIN, stars=stars)
    near = np.hypot(table["x"] - 100, table["y"] - 100) < 10 * 10 ** (0.2 * 3)
    assert near.any()
    assert ((table["FLAG_VIS"] & NEAR_STAR > 0) == near).all()


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="threshold"):
        Settings(threshold=0)


def test_tiles_smaller_than_their_margin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="margin 200"):
        measure_tiles([tmp_path], PLAIN, tile=100, margin=200)


def test_the_band_of_detection_must_be_there(field: tuple[list[Mosaic], np.ndarray]) -> None:
    with pytest.raises(DataError, match="expected VIS"):
        find(field[0][1:], PLAIN)


def test_a_sky_without_sources(tmp_path: Path) -> None:
    [empty] = sky([], {"VIS": 2.0}, {"VIS": 1.0}, 64)
    with pytest.raises(DataError, match="No source"):
        measure_tiles([stage(empty, tmp_path)], Settings(threshold=12.0))
