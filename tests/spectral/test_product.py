"""What networks see of a cube: its colours in physical units, the filter's map, and no pixel that lacks either."""

from __future__ import annotations

import numpy as np
import pytest

from gas_cubes import tiny_cube, write_envi, write_table
from swath.data.cubes import open_cube
from swath.errors import BandError
from swath.geo.windows import Window
from swath.spectral.mapping import Mapper
from swath.spectral.product import PRODUCT, GasProduct


@pytest.fixture
def cube(tmp_path):
    """A cube with colours, of which one corner is no data, and the mapper for its gas."""
    made = tiny_cube(64, 64, 40)
    colours = np.stack([np.full((64, 64), value) for value in (1.0, 2.0, 3.0)])
    radiance = np.concatenate([colours, made.radiance])
    radiance[:, :8, :8] = -9999
    path = write_envi(tmp_path / "own.img", radiance, np.concatenate([[460.0, 551.0, 640.0], made.wavelengths]))
    return open_cube(path), Mapper("mag1c", write_table(tmp_path / "gas.csv", made), 40, "absorption")


def test_colours_and_enhancement(cube):
    opened, mapper = cube
    product = GasProduct(opened, mapper)
    values, valid = product.read(Window(0, 0, 70, 64))
    assert product.bands is PRODUCT
    assert not valid[:8, :8].any()
    assert not valid[64:].any()
    assert valid[8:64].all()
    np.testing.assert_allclose(values[:3, 20, 20], [30, 20, 10], rtol=1e-6)  # uW cm-2 sr-1 nm-1 are ten W m-2 sr-1 um-1
    np.testing.assert_array_equal(values[3, :64][valid[:64]], mapper.map(opened)[valid[:64]])
    assert not values[:, ~valid].any()


def test_a_cube_without_colours_is_refused(tmp_path):
    made = tiny_cube(32, 32, 40)
    opened = open_cube(write_envi(tmp_path / "own.img", made.radiance, made.wavelengths))
    with pytest.raises(BandError, match="has no colours"):
        GasProduct(opened, Mapper())
