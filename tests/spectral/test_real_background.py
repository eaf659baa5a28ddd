"""A real background (AVIRIS, Jasper Ridge) under a plume by Beer and Lambert, against the naive band ratio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from sklearn.metrics import average_precision_score

from gas_cubes import write_envi
from swath.data.cubes import open_cube
from swath.spectral.absorption import absorption_of
from swath.spectral.mapping import Mapper
from swath.spectral.ratio import band_ratio


@pytest.mark.data
def test_filters_beat_the_band_ratio_over_jasper_ridge(data_folder: Path, tmp_path: Path):
    """AVIRIS of the nineties, 10,000 pixels: a plume of 12,000 ppm m at its core."""
    pytest.importorskip("onboard_methane_detection")
    found = loadmat(data_folder / "hyperspectral_unmixing" / "jasperRidge2_R198.mat")
    nm = np.linspace(380, 2500, 224)[found["SlectBands"].ravel().astype(int) - 1]
    background = found["Y"].reshape(198, 100, 100).transpose(0, 2, 1).astype(np.float32) / 1000
    row, col = np.mgrid[:100, :100]
    column = 12000 * np.exp(-((row - 40) ** 2) / 60 - ((col - 55) ** 2) / 200)
    clear = open_cube(write_envi(tmp_path / "clear.img", background, nm, fwhm=10.0))
    seen = background * np.exp(absorption_of(clear.bands)[:, None, None] * column)
    cube = open_cube(write_envi(tmp_path / "plume.img", seen, nm, fwhm=10.0))
    present = (column > 1500).ravel()
    naive = average_precision_score(present, np.nan_to_num(band_ratio(cube)).ravel())
    for name in ("mag1c", "matched_filter", "ace"):
        enhancement = Mapper(name, count=50, strategy="variance").map(cube)
        assert average_precision_score(present, enhancement.ravel()) > 2 * naive
