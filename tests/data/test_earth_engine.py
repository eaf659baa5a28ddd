"""Images exported by Earth Engine with their mixer file."""

import json

import numpy as np
import pytest

from bhutan import RGBN, write_image
from swath.data.earth_engine import open_image
from swath.data.tfrecord import read_examples, write_examples
from swath.errors import BandError, DataError, ReadError
from swath.geo.windows import Window
from swath.sensors.bands import Band, Bands

_BANDS = Bands("planet", tuple(Band(name, "reflectance") for name in RGBN))


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0.01, 0.4, (8, 48, 32)).astype(np.float32)


@pytest.mark.parametrize("margin", [0, 3])
def test_patches_are_laid_out_row_by_row_without_margins(tmp_path, image, margin):
    source = open_image([write_image(tmp_path, image, 16, margin=margin)], _BANDS)
    values, valid = source.read(Window(0, 0, 48, 32))
    np.testing.assert_array_equal(values, image)
    assert valid.all()
    assert source.grid.crs.epsg == 4326
    assert tuple(source.grid.affine[:6]) == (1e-4, 0, 89.4, 0, -1e-4, 27.5)
    assert source.grid.shape == (48, 32)


def test_bands_are_found_by_name_and_missing_numbers_are_invalid(tmp_path, image):
    image[2, 40, 20] = np.nan
    source = open_image([write_image(tmp_path, image, 16)], _BANDS.select(["blue_before", "red_before"]))
    values, valid = source.read(Window(0, 0, 48, 32))
    assert np.argwhere(~valid).tolist() == [[40, 20]]
    np.testing.assert_array_equal(values[:, valid], image[[2, 0]][:, valid])


def test_shards_follow_one_another(tmp_path, image):
    whole = write_image(tmp_path, image, 16)
    examples = list(read_examples(whole))
    shards = [tmp_path / f"image_2021-0000{n}.tfrecord.gz" for n in range(2)]
    write_examples(shards[0], examples[:4])
    write_examples(shards[1], examples[4:])
    np.testing.assert_array_equal(open_image(shards, _BANDS).read(Window(0, 0, 48, 32))[0], image)
    with pytest.raises(DataError, match="got 4 patches; expected 6 patches"):
        open_image(shards[:1], _BANDS)
    with pytest.raises(DataError, match="more than 6 patches"):
        open_image([*shards, shards[0]], _BANDS)


def test_bytes_and_counts_are_refused(tmp_path, image):
    path = write_image(tmp_path, image, 16)
    examples = list(read_examples(path))
    counts = [{name: (values * 10_000).astype(np.int64) for name, values in e.items()} for e in examples]
    write_examples(path, counts)
    with pytest.raises(BandError, match="cannot be reflectance"):
        open_image([path], _BANDS)
    scaled = open_image([path], _BANDS.with_storage(scale=1e-4))
    np.testing.assert_allclose(
        _BANDS.with_storage(scale=1e-4).decode(scaled.read(Window(0, 0, 48, 32))[0]), image, atol=1e-4
    )
    shorts = [{n: [(v * 10_000).astype("<u2").tobytes()] for n, v in e.items()} for e in examples]
    write_examples(path, shorts)
    with pytest.raises(DataError, match=r"red_before as bytes: got 512 bytes; expected a list of floats"):
        open_image([path], _BANDS)


def test_a_mixer_of_another_image_is_told(tmp_path, image):
    path = write_image(tmp_path, image, 16)
    mixer = tmp_path / "image_2021.json"
    good = json.loads(mixer.read_text())
    for change, error, message in (
        ({"patchDimensions": [20, 20]}, DataError, "another size than the mixer says"),
        ({"patchDimensions": [16, 32]}, ReadError, "square patches"),
        ({"totalPatches": 5}, ReadError, "whole rows"),
        ({"totalPatches": 4}, DataError, "more than 4 patches"),
        ({"patchesPerRow": 0}, ReadError, "whole rows"),
        ({"projection": {"crs": "EPSG:4326", "affine": {"doubleMatrix": [1, 2]}}}, ReadError, "no mixer file"),
        ({"projection": {"crs": "EPSG:0", "affine": good["projection"]["affine"]}}, ReadError, "no mixer file"),
        ({"projection": None}, ReadError, "no mixer file"),
    ):
        mixer.write_text(json.dumps(good | change))
        with pytest.raises(error, match=message):
            open_image([path], _BANDS)
    mixer.write_text("[]")
    with pytest.raises(ReadError, match="no mixer file"):
        open_image([path], _BANDS)
    mixer.unlink()
    with pytest.raises(ReadError, match="cannot be read"):
        open_image([path], _BANDS)
    with pytest.raises(ReadError, match="no files"):
        open_image([], _BANDS)
