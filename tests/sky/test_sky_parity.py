"""SExtractor's own background, noise and catalogue of a real CCD picture, as `sep` ships it."""

from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits

from swath.sky.detection import background, detect
from swath.sky.mosaics import Mosaic
from swath.sky.photometry import aperture, kron

pytestmark = [pytest.mark.data, pytest.mark.filterwarnings("ignore:The following header keyword is invalid")]
#: SExtractor's default filter.
CONV = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)
#: Columns of image.cat.
X, Y, APER, APER_ERROR, KRON_RADIUS, AUTO, FLAGS = 1, 2, 12, 13, 14, 15, 20


def pixels(path: Path) -> np.ndarray:
    with fits.open(path, memmap=False) as file:
        return np.array(file[0].data, np.float32)


@pytest.fixture
def folder(data_folder: Path) -> Path:
    return data_folder / "sky_images" / "sep"


def test_background_and_noise_are_those_of_sextractor(folder: Path) -> None:
    level, noise = background(pixels(folder / "image.fits"), passes=0)
    assert level == pytest.approx(pixels(folder / "back.fits"), rel=1e-4)
    assert noise == pytest.approx(pixels(folder / "rms.fits"), rel=1e-4)


def test_sources_and_their_fluxes_are_those_of_sextractor(folder: Path) -> None:
    values = pixels(folder / "image.fits")
    truth = np.loadtxt(folder / "image.cat")
    level, _ = background(values, passes=0)
    even = np.full(values.shape, sep.Background(values).globalrms, np.float32)
    mosaic = Mosaic("R", values - level, even, np.zeros(values.shape, bool), np.ones((1, 1)), None)
    found = detect(mosaic, threshold=1.5 * 16 / 6, minimum_area=5, kernel=CONV, deblend_contrast=1.0).sources
    x, y = found["x"].to_numpy(), found["y"].to_numpy()
    distance = np.hypot(x[:, None] - (truth[:, X] - 1), y[:, None] - (truth[:, Y] - 1))
    mine = distance.argmin(0)
    assert len(found) == len(truth) == len(set(mine))
    assert distance.min(0).max() < 1e-3

    ten = aperture(mosaic, x, y, 10.0, subpixels=5)
    assert ten.flux[mine] == pytest.approx(truth[:, APER], rel=1e-3)
    assert ten.error[mine] == pytest.approx(truth[:, APER_ERROR], rel=1e-3)

    total, radius = kron(mosaic, found, minimum=0.0, subpixels=1)
    counted = (truth[:, FLAGS] == 0) & (truth[:, AUTO] != 0)
    assert counted.sum() > 45
    assert total.flux[mine][counted] == pytest.approx(truth[counted, AUTO], rel=1e-2)
    assert 2.5 * radius[mine][counted] == pytest.approx(truth[counted, KRON_RADIUS], abs=0.02)
