"""Indices against spyndex, and where they are not defined."""

import numpy as np
import pytest
import spyndex
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.errors import BandError, UnknownNameError
from swath.sensors.bands import Band, Bands
from swath.sensors.indices import INDICES, index

_BANDS = Bands(
    "planetscope",
    tuple(Band(n, "reflectance", aliases=(a,)) for n, a in (("B", "blue"), ("G", "green"), ("R", "red"), ("N", "nir"))),
)


def _pixels(*rows):
    return np.array(rows, np.float32).T[:, None, :]


@pytest.mark.parametrize("name", INDICES)
@settings(deadline=None, max_examples=50)
@given(pixel=st.lists(st.floats(2**-10, 1.0, width=32), min_size=4, max_size=4))
def test_values_equal_spyndex(name, pixel):
    values = _pixels(pixel)
    found, valid = index(name, values, np.ones((1, 1), bool), _BANDS)
    parameters = dict(zip("BGRN", values[:, 0, 0].astype(np.float64), strict=True))
    parameters |= {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 0.5 if name == "SAVI" else 1.0}
    with np.errstate(all="ignore"):
        expected = spyndex.computeIndex("MSAVI" if name == "MSAVI2" else name, parameters)
    if valid[0, 0]:
        assert found[0, 0] == pytest.approx(float(np.real(expected)), rel=1e-4, abs=1e-5)
    else:
        assert found[0, 0] == 0


@pytest.mark.parametrize(
    ("name", "pixel"),
    [
        ("NDVI", (0.1, 0.1, 0, 0)),
        ("NDWI", (0.1, 0, 0.1, 0)),
        ("EVI", (0.25, 0.1, 0, 0.875)),  # 0.875 - 7.5 * 0.25 + 1 = 0
        ("SAVI", (0, 0, -0.25, -0.25)),
        ("VARI", (0.5, 0.25, 0.25, 0.3)),
        ("MTVI2", (0.1, 0.1, -0.1, 0.3)),  # root of a negative reflectance
        ("MSAVI2", (0.1, 0.1, -1.0, 0.5)),  # 2 ** 2 - 8 * 1.5 < 0
    ],
)
def test_no_value_where_none_is_defined(name, pixel):
    found, valid = index(name, _pixels(pixel, (0.05, 0.08, 0.06, 0.4)), np.ones((1, 2), bool), _BANDS)
    assert valid.tolist() == [[False, True]]
    assert found[0, 0] == 0


def test_invalid_pixels_stay_invalid():
    valid = np.array([[False, True]])
    found, kept = index("NDVI", _pixels((0.1,) * 4, (0.1, 0.1, 0.1, 0.3)), valid, _BANDS)
    assert kept.tolist() == valid.tolist()
    assert found.tolist() == [[0.0, 0.5]]


def test_wrong_requests_are_refused():
    values, valid = _pixels((0.1,) * 4), np.ones((1, 1), bool)
    with pytest.raises(UnknownNameError, match="no index 'NDXI'"):
        index("NDXI", values, valid, _BANDS)
    with pytest.raises(BandError, match="'nir'"):
        index("NDVI", values[:3], valid, _BANDS.select(["blue", "green", "red"]))
    with pytest.raises(BandError, match="got dn; expected reflectance"):
        index("EVI", values, valid, _BANDS.with_storage(unit="dn"))
