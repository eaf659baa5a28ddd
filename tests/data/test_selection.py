import numpy as np
import pytest

from swath.data.scenes import Collection, Scene
from swath.data.selection import select_bands
from swath.data.sources import ArraySource
from swath.errors import BandError, DataError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

BANDS = Bands("s", (Band("r", "1", aliases=("red",)), Band("g", "1"), Band("n", "1")))


def collection(**layers: ArraySource) -> Collection:
    return Collection((Scene("a", layers),))


def image() -> ArraySource:
    return ArraySource(np.arange(12, dtype=np.float32).reshape(3, 2, 2), BANDS, pixel_grid(2, 2))


def test_bands_come_in_the_order_asked_for() -> None:
    chosen = select_bands(collection(image=image()), {"image": BANDS.select(["n", "red"])})
    values, valid = chosen[0].layers["image"].read(Window(0, 0, 2, 2))
    assert values[:, 0, 0].tolist() == [8, 0]
    assert valid.all()


def test_a_single_layer_may_have_any_name() -> None:
    chosen = select_bands(collection(optical=image()), {"image": BANDS})
    assert list(chosen[0].layers) == ["image"]


def test_missing_layer_is_named() -> None:
    with pytest.raises(DataError, match="lacks a layer: got a, b; expected radar"):
        select_bands(collection(a=image(), b=image()), {"a": BANDS, "radar": BANDS})


def test_other_unit_is_refused() -> None:
    with pytest.raises(BandError, match="Band g of array is in another unit: got 1; expected K"):
        select_bands(collection(image=image()), {"image": Bands("s", (Band("g", "K"),))})
