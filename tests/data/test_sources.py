import numpy as np
import pytest

from swath.data.sources import ArraySource, Source, read_around
from swath.errors import GridError, ReadError
from swath.geo.grids import pixel_grid
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands


def test_reading_beyond_the_edge_is_invalid_and_zero() -> None:
    source = ArraySource(
        np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3), Bands("s", (Band("b", "dn"),)), pixel_grid(2, 3)
    )
    assert isinstance(source, Source)
    values, valid = source.read(Window(-1, 1, 3, 3))
    assert values.tolist() == [[[0, 0, 0], [2, 3, 0], [5, 6, 0]]]
    assert valid.tolist() == [[False] * 3, [True, True, False], [True, True, False]]


def test_a_pixel_is_valid_where_every_band_is() -> None:
    values = np.array([[[1.0, 2.0, 3.0, np.inf]], [[9.0, np.nan, -1.0, 0.0]]], np.float32)
    bands = Bands("s", (Band("a", "1"), Band("b", "1", nodata=-1)))
    _, valid = ArraySource(values, bands, pixel_grid(1, 4)).read(Window(0, 0, 1, 4))
    assert valid.tolist() == [[True, False, False, False]]


def test_an_array_that_does_not_fit_is_refused() -> None:
    with pytest.raises(GridError, match=r"does not fit.*got array \(1, 2, 2\); expected \(1, 2, 3\)"):
        ArraySource(np.zeros((1, 2, 2)), Bands("s", (Band("b", "1"),)), pixel_grid(2, 3))


class _Damaged(ArraySource):
    """Reads nothing that touches the pixel at row 100, column 300."""

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        if window.contains(Window(100, 300, 1, 1)):
            raise ReadError("damaged")
        return super().read(window)


def test_around_damage_all_else_is_read() -> None:
    truth = np.random.default_rng(0).integers(1, 99, (1, 256, 512)).astype(np.uint8)
    source = _Damaged(truth, Bands("s", (Band("b", "dn"),)), pixel_grid(256, 512))
    values, valid = read_around(source, Window(0, 0, 256, 512))
    lost = np.zeros((256, 512), bool)
    lost[96:128, 256:320] = True  # 512 wide, halved three times
    assert (valid == ~lost).all()
    assert (values[0] == np.where(lost, 0, truth[0])).all()


def test_a_small_window_is_lost_as_a_whole() -> None:
    source = _Damaged(np.ones((1, 256, 512)), Bands("s", (Band("b", "dn"),)), pixel_grid(256, 512))
    values, valid = read_around(source, Window(90, 290, 33, 47))
    assert values.shape == (1, 33, 47)
    assert not valid.any()
    assert not values.any()
