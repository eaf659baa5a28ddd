"""Points and patches in the published layout."""

import numpy as np
import pytest

from bhutan import ELEVATION, RADAR, RGBN, write_image, write_records
from swath.data.classes import IGNORE
from swath.data.readers.bhutan_rice import CLASSES, feature_bands, read_bhutan_image, read_bhutan_rice
from swath.errors import BandError, ConfigError, DataError, ReadError
from swath.geo.windows import Window

_COUNTS = {"training": 70, "testing": 10, "validation": 20}


def _points(rng, count, names=RGBN):
    values = rng.uniform(0.01, 0.4, (count, len(names))).astype(np.float32)
    for column, name in enumerate(names):
        if name in RADAR:
            values[:, column] = rng.uniform(-20, -5, count)
        elif name in ELEVATION:
            values[:, column] = rng.uniform(0, 60, count)
    return values, rng.integers(0, 5, count)


def _write(root, names=RGBN):
    rng = np.random.default_rng(0)
    written = {folder: _points(rng, count, names) for folder, count in _COUNTS.items()}
    for folder, (values, classes) in written.items():
        write_records(root / folder / f"{folder}.tfrecord.gz", values, classes, names)
    return written


def _same_points(scene, values, classes):
    """Whether a table holds these points, in any order."""
    found = _all(scene)
    assert found[1].all()
    rows = np.column_stack([found[0][:, :, 0].T, found[2][:, 0]]).astype(np.float32)
    expected = np.column_stack([values, classes]).astype(np.float32)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def _all(scene):
    window = Window(0, 0, *scene.grid.shape)
    values, valid = scene.layers["image"].read(window)
    return scene.layers["image"].bands.decode(values), valid, scene.labels.read(scene.grid)


@pytest.mark.parametrize(
    ("features", "names"),
    [("RGBN", RGBN), ("RGBNE", RGBN + ELEVATION), ("RGBNS", RGBN + RADAR), ("RGBNES", RGBN + ELEVATION + RADAR)],
)
def test_points_are_read_as_written(tmp_path, features, names):
    written = _write(tmp_path, names)
    data = read_bhutan_rice(tmp_path, features)
    assert data.classes == CLASSES
    assert data.bands["image"].names == tuple(names)
    assert {scene.id: scene.part for scene in data} == {"training": "train", "testing": "test", "validation": "val"}
    for scene in data:
        _same_points(scene, *written[scene.id])
        assert scene.grid.crs is None
    assert data.facts["records"] == {"training": 70, "validation": 20, "testing": 10}


def test_fewer_features_may_be_read_than_are_there(tmp_path):
    written = _write(tmp_path, [*RADAR, *ELEVATION, *RGBN])
    scene = read_bhutan_rice(tmp_path, "RGBN")[0]
    _same_points(scene, written["training"][0][:, -8:], written["training"][1])


def test_points_of_an_earlier_part_are_dropped(tmp_path):
    written = _write(tmp_path)
    values, classes = written["testing"]
    values[:4] = written["training"][0][:4]
    values[4:6] = written["validation"][0][:2]
    values[6] = values[7]
    write_records(tmp_path / "testing" / "testing.tfrecord.gz", values, classes)
    data = read_bhutan_rice(tmp_path)
    assert data.facts["duplicates dropped"] == {"training": 0, "validation": 0, "testing": 6}
    test = next(scene for scene in data if scene.part == "test")
    _same_points(test, values[6:], classes[6:])
    kept = read_bhutan_rice(tmp_path, duplicates="keep")
    assert next(scene for scene in kept if scene.part == "test").grid.shape == (10, 1)


def test_several_files_of_a_folder_follow_one_another(tmp_path):
    values, classes = _points(np.random.default_rng(1), 9)
    write_records(tmp_path / "training" / "a.tfrecord.gz", values[:4], classes[:4])
    write_records(tmp_path / "training" / "b.tfrecord", values[4:], classes[4:])
    data = read_bhutan_rice(tmp_path)
    assert len(data) == 1
    _same_points(data[0], values, classes)


def test_tables_are_shuffled_always_in_the_same_way(tmp_path):
    values, classes = _points(np.random.default_rng(1), 300)
    classes.sort()  # as Earth Engine exports strata
    write_records(tmp_path / "training" / "a.tfrecord.gz", values, classes)
    first, second = (_all(read_bhutan_rice(tmp_path)[0])[2][:, 0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert min(len(np.unique(first[start : start + 32])) for start in range(0, 288, 32)) >= 4


def _patches(rng, count, edge=16):
    return rng.uniform(0.01, 0.4, (count, 8, edge, edge)), rng.integers(0, 5, (count, edge, edge))


def test_patches_are_scenes_and_swapped_folders_are_put_right(tmp_path):
    rng = np.random.default_rng(0)
    # As the release writes them: testing holds what was meant for validation.
    written = {folder: _patches(rng, n) for folder, n in {"training": 7, "testing": 2, "validation": 1}.items()}
    for folder, (values, classes) in written.items():
        write_records(tmp_path / folder / "part.tfrecord.gz", values, classes)
    data = read_bhutan_rice(tmp_path)
    assert len(data) == 10
    scene = next(scene for scene in data if scene.id == "testing/1")
    values, valid, labels = _all(scene)
    np.testing.assert_allclose(values, written["testing"][0][1], rtol=1e-6)
    np.testing.assert_array_equal(labels, written["testing"][1][1])
    assert valid.all()
    assert scene.part == "test"
    right = read_bhutan_rice(tmp_path, swapped=True)
    assert {s.id.split("/")[0]: s.part for s in right} == {"training": "train", "testing": "val", "validation": "test"}


def test_missing_numbers_are_invalid(tmp_path):
    values, classes = _patches(np.random.default_rng(0), 1)
    values[0, 3, 2, 5] = np.nan
    write_records(tmp_path / "training" / "part.tfrecord.gz", values, classes)
    _, valid, labels = _all(read_bhutan_rice(tmp_path)[0])
    assert np.argwhere(~valid).tolist() == [[2, 5]]
    assert IGNORE not in labels


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda v, c: {"names": [*RGBN[:-1], "nir"]}, DataError, "Record 0 of .*lacks the feature nir_during"),
        (lambda v, c: {"label": "landcover"}, DataError, "lacks the feature class"),
        (lambda v, c: {"values": v * 10_000}, BandError, "cannot be reflectance.*scale"),
        (lambda v, c: {"values": v[:0], "classes": c[:0]}, DataError, "holds no records"),
    ],
)
def test_unfit_records_are_told(tmp_path, spoil, error, message):
    values, classes = _points(np.random.default_rng(0), 20)
    arguments = {"values": values, "classes": classes} | spoil(values, classes)
    write_records(tmp_path / "training" / "t.tfrecord.gz", **arguments)
    with pytest.raises(error, match=message):
        read_bhutan_rice(tmp_path)


def test_counts_are_read_with_their_scale(tmp_path):
    values, classes = _points(np.random.default_rng(0), 20)
    write_records(tmp_path / "training" / "t.tfrecord.gz", np.round(values * 10_000), classes)
    found = _all(read_bhutan_rice(tmp_path, scale=1e-4)[0])[0][:, :, 0].T
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(values, axis=0), atol=1e-4)


@pytest.mark.parametrize("code", [7, 1.5, np.nan])
def test_numbers_that_are_no_class_are_told(tmp_path, code):
    values, classes = _points(np.random.default_rng(0), 20)
    write_records(tmp_path / "training" / "t.tfrecord.gz", values, np.where(np.arange(20) == 3, code, classes))
    scene = read_bhutan_rice(tmp_path)[0]
    with pytest.raises(DataError, match=r"values outside the classes.*\(1 pixels\)"):
        scene.labels.read(scene.grid)


def test_a_truncated_file_is_told(tmp_path):
    _write(tmp_path)
    path = tmp_path / "validation" / "validation.tfrecord.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ReadError, match="truncated"):
        read_bhutan_rice(tmp_path)


def test_wrong_options_and_folders_are_told(tmp_path):
    with pytest.raises(ReadError, match="holds no training"):
        read_bhutan_rice(tmp_path)
    _write(tmp_path)
    with pytest.raises(ConfigError, match="no such set of features"):
        read_bhutan_rice(tmp_path, "RGB")
    with pytest.raises(ConfigError, match="drop or keep"):
        read_bhutan_rice(tmp_path, duplicates="no")
    with pytest.raises(ConfigError, match="scale"):
        read_bhutan_rice(tmp_path, scale=0)
    write_records(tmp_path / "testing" / "more.tfrecord.gz", *_patches(np.random.default_rng(0), 1))
    with pytest.raises(DataError, match="another size"):
        read_bhutan_rice(tmp_path)


def test_an_image_is_a_scene_of_its_year(tmp_path):
    image = np.random.default_rng(0).uniform(0.01, 0.4, (8, 32, 48)).astype(np.float32)
    data = read_bhutan_image(write_image(tmp_path, image, 16))
    assert data[0].id == "image_2021"
    assert data[0].time.year == 2021
    assert data.bands["image"] == feature_bands("RGBN")
    np.testing.assert_array_equal(data[0].layers["image"].read(Window(0, 0, 32, 48))[0], image)
