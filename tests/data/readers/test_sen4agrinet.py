"""Patches of Sen4AgriNet: bands, months, labels, parcels, sub-patches and scenarios against xarray and numpy."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
import xarray

import crop_patches
from swath.data.band_groups import open_band_groups
from swath.data.classes import IGNORE
from swath.data.loader import Batches
from swath.data.monthly_series import MonthlySeries, monthly
from swath.data.readers import read_layout
from swath.data.readers.sen4agrinet import CLASSES, LEARNED, PUBLISHED, open_patch, read_sen4agrinet
from swath.data.readers.sen4agrinet_oad import MONTHS, parcel_features, parcel_table, read_sen4agrinet_oad
from swath.data.samplers import grid_places
from swath.data.scenes import Collection
from swath.errors import ConfigError, DataError, ReadError, SwathError
from swath.sensors.catalogue import sensor

MONTHLY = range(10, 360, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return crop_patches.write_folder(tmp_path_factory.mktemp("patches"), 8, days=MONTHLY)


@pytest.fixture
def patch(tmp_path):
    path = tmp_path / "2019_31TCJ_patch_3_7.nc"
    return path, *crop_patches.write_patch(path, days=MONTHLY)


def _release(path, bands):
    """Monthly medians of all months `[12, bands, H, W]` as the release makes them, with xarray and pandas."""
    year = int(path.stem[:4])
    starts = pd.date_range(f"{year}-01-01", f"{year + 1}-01-01", freq="1MS")
    planes = []
    for band in bands:
        with xarray.open_dataset(path, group=band, engine="h5netcdf") as data:
            binned = data.groupby_bins("time", starts, right=True, include_lowest=False, labels=starts[:-1]).median(
                "time"
            )
            filled = binned.resample(time_bins="1MS").median("time_bins")
            filled = filled.interpolate_na("time_bins", method="linear", fill_value="extrapolate")[band].to_numpy()
        times = crop_patches.FACTORS[band]
        planes.append(filled.repeat(times, 1).repeat(times, 2))
    return np.stack(planes, 1)


@pytest.mark.parametrize(
    "days",
    [range(10, 360, 15), [45, 60, 75, 200, 215, 230, 300], [*range(32, 330, 9), 91, 121], [100]],
    ids=["all months", "first, last and summer months empty", "on the first of a month", "one image"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_months_are_those_of_the_release(tmp_path, days):
    path = tmp_path / "2020_31TCG_patch_1_2.nc"
    midnight = [day for day in days if day in (91, 121)]
    crop_patches.write_patch(path, days=days)
    if len(days) == 1:  # xarray fills nothing from a single month; here it stands for all
        values, valid = MonthlySeries(open_patch(path).series["series"].frames).read(open_patch(path).grid)
        assert valid.all()
        assert (values == values[:1]).all()
        return
    bands = ("B02", "B05", "B01")
    scene = open_patch(path, sensor("sentinel2_l1c").select(bands))
    values, valid = MonthlySeries(scene.series["series"].frames).read(scene.grid)
    assert valid.all()
    np.testing.assert_allclose(values * 10_000, _release(path, bands), rtol=1e-4, atol=0.05)
    assert len(midnight) in (0, 2)
    some = MonthlySeries(scene.series["series"].frames, first=4, last=9)
    np.testing.assert_array_equal(some.read(scene.grid)[0], values[3:9])
    assert some.dates.tolist() == [
        (pd.Timestamp(2020, month, 1) - pd.Timestamp(1970, 1, 1)).days for month in range(4, 10)
    ]


def test_months_in_disorder_are_refused(patch):
    with pytest.raises(ConfigError, match="Months"):
        MonthlySeries(open_patch(patch[0]).series["series"].frames, first=9, last=4)


def test_a_patch_lies_where_its_tile_says_and_has_the_classes_of_its_codes(patch):
    path, codes, _ = patch
    scene = open_patch(path)
    assert str(scene.grid.crs) == "EPSG:32631"
    assert (scene.grid.affine.c, scene.grid.affine.f, scene.grid.affine.a) == (400_000, 4_600_000, 10)
    assert scene.group == "31TCJ_patch_3_7"
    labels = scene.labels.read(scene.grid)
    expected = {0: IGNORE, 110: 1, 120: 2, 435: 8, 912: 0}
    assert all((labels[codes == code] == place).all() for code, place in expected.items())
    assert [CLASSES.names[place] for place in (0, 1, 2, 8)] == ["other crops", "wheat", "maize", "rapeseed"]
    assert (len(CLASSES), len(PUBLISHED), len(LEARNED)) == (12, 11, 11)


def test_coarse_pixels_are_repeated(patch):
    file = open_band_groups(patch[0])
    with xarray.open_dataset(patch[0], group="B01", engine="h5netcdf") as data:
        stored = data["B01"].to_numpy()
    found = file.read(sensor("sentinel2_l1c").select(["B01"]), [2, 5])
    np.testing.assert_array_equal(found[:, 0], np.kron(stored[[2, 5]], np.ones((1, 6, 6))))
    assert file.grid.crs is None


def test_sub_patches_set_together_are_the_patch(tmp_path):
    """As published, a patch is cut into 36 squares."""
    path = tmp_path / "2019_31TCJ_patch_0_0.nc"
    codes, _ = crop_patches.write_patch(path, days=[40, 130, 220], edge=36)
    data = Collection((monthly(open_patch(path), "series", 4, 9),), CLASSES)
    places = grid_places(data, None, 6)
    assert len(places) == 36
    images, masks = np.zeros((6, 4, 36, 36), np.float32), np.zeros((36, 36), int)
    for batch in Batches(data, places, part=None, patch=6, batch=5):
        found = zip(batch["window"].numpy(), batch["series"]["series"]["values"], batch["mask"], strict=True)
        for (row, col, height, width), values, mask in found:
            here = np.s_[row : row + height, col : col + width]
            images[:, :, *here], masks[here] = values, mask
    scene = data[0]
    np.testing.assert_array_equal(images, scene.series["series"].read(scene.grid)[0])
    np.testing.assert_array_equal(masks, scene.labels.read(scene.grid))
    assert (masks == IGNORE).sum() == (codes == 0).sum()


def test_scenarios(folder):
    first = read_sen4agrinet(folder)
    assert [s.part for s in first] == [s.part for s in read_layout("sen4agrinet_1", folder)]
    assert {s.part for s in first} == {"train", "val", "test"}
    away, back = read_layout("sen4agrinet_2", folder), read_layout("sen4agrinet_3", folder)
    countries = {s.id: s.labels.file.attributes["patch_country_code"] for s in first}
    assert {(countries[s.id], s.id[:4]) for s in away if s.part == "test"} == {("FR", "2019")}
    assert {countries[s.id] for s in away if s.part != "test"} == {"ES"}
    assert {(countries[s.id], s.id[:4]) for s in back if s.part == "test"} == {("ES", "2020")}
    assert {(countries[s.id], s.id[:4]) for s in back if s.part != "test"} == {("FR", "2019")}
    assert back.facts["patches in no part"] == 2
    assert [s.part for s in away].count("val") == 1


def test_published_lists(folder, tmp_path):
    names = sorted(path.name for path in folder.glob("*.nc"))
    listed = {"train": names[:4], "val": names[4:5], "test": names[5:7]}
    root = tmp_path / "data"
    root.mkdir()
    (root / "netcdf").symlink_to(folder)
    for part, files in listed.items():
        images = [{"file_name": f"2019/{name}", "id": n} for n, name in enumerate(files)]
        (root / f"poc_coco_{part}.json").write_text(json.dumps({"images": images}))
    for name in names:  # rglob does not follow links
        (root / name).symlink_to(folder / name)
    found = read_sen4agrinet(root)
    assert {s.id + ".nc": s.part for s in found} == {name: part for part, files in listed.items() for name in files}
    assert found.facts["patches in no list"] == 1
    (root / "poc_coco_val.json").write_text(json.dumps({"images": [{"file_name": "2019_31TCJ_patch_9_9.nc"}]}))
    with pytest.raises(DataError, match="not there"):
        read_sen4agrinet(root)
    (root / "poc_coco_val.json").write_text(json.dumps({"images": [{"file_name": names[0]}]}))
    with pytest.raises(DataError, match="already"):
        read_sen4agrinet(root)
    (root / "poc_coco_val.json").write_text("{}")
    with pytest.raises(ReadError, match="COCO"):
        read_sen4agrinet(root)
    (root / "poc_coco_val.json").unlink()
    with pytest.raises(DataError, match="no three COCO"):
        read_sen4agrinet(root)


def _u16(name, shape, times=None, dtype=np.uint16, factor=1):
    return crop_patches.dataset(name, np.ones(shape, dtype), factor, times)


TIMES = pd.DatetimeIndex([pd.Timestamp("2019-01-01") + pd.Timedelta(days=day) for day in MONTHLY])


def _read_whole(path):
    scene = open_patch(path)
    scene.labels.read(scene.grid)
    scene.series["series"].read(scene.grid)


@pytest.mark.parametrize(
    ("replaced", "error", "message"),
    [
        ({"B03": None}, ReadError, "no group `B03`"),
        ({"labels": None}, ReadError, "no group `labels`"),
        ({"B02": None}, ReadError, "no group `B02`"),
        ({"B03": _u16("B04", (12, 24, 24), TIMES)}, ReadError, "has no variable"),
        ({"B03": _u16("B03", (12, 24, 24), TIMES, np.float32)}, DataError, "another type"),
        ({"B02": _u16("B02", (12, 24, 24), TIMES, np.int16)}, DataError, "another type"),
        ({"B03": _u16("B03", (12, 20, 24), TIMES)}, DataError, "does not fit the pixels"),
        ({"B03": _u16("B03", (11, 24, 24), TIMES[:11])}, DataError, "other dates"),
        ({"labels": _u16("labels", (12, 24), dtype=np.uint32)}, DataError, "another size"),
        ({"labels": _u16("labels", (24, 24), dtype=np.float32)}, DataError, "no whole numbers"),
        ({"labels": crop_patches.dataset("labels", np.full((24, 24), 113, np.uint32))}, DataError, r"113 \(576 pixels"),
        ({"B02": _u16("B02", (24, 24))}, DataError, "no series"),
    ],
)
def test_broken_patches_get_one_clear_error(tmp_path, replaced, error, message):
    path = tmp_path / "2019_31TCJ_patch_0_0.nc"
    crop_patches.write_patch(path, days=MONTHLY, **replaced)
    with pytest.raises(error, match=message):
        _read_whole(path)


def test_files_that_are_none(tmp_path, patch):
    with pytest.raises(ReadError, match="does not exist"):
        open_patch(tmp_path / "2019_31TCJ_patch_9_9.nc")
    cut = tmp_path / "2019_31TCJ_patch_1_1.nc"
    cut.write_bytes(patch[0].read_bytes()[:5000])
    with pytest.raises(ReadError, match="damaged"):
        open_patch(cut)
    cut.write_text("no netCDF")
    with pytest.raises(ReadError, match="damaged"):
        open_patch(cut)
    with pytest.raises(ReadError, match="no patches"):
        read_sen4agrinet(tmp_path / "empty")
    undated = tmp_path / "2019_31TCJ_patch_2_2.nc"
    crop_patches.write_patch(undated, days=MONTHLY, B02=_u16("B02", (12, 24, 24), list(range(12))))
    with pytest.raises(DataError, match="Times"):
        open_patch(undated)


def test_parcels_are_zonal_statistics_of_numpy(patch):
    path, codes, numbers = patch
    bands = tuple(sorted(sensor("sentinel2_l1c").names))
    table = parcel_table(open_patch(path, sensor("sentinel2_l1c").select(bands))).set_index("parcel_id")
    months = _release(path, bands)
    assert table.index.tolist() == list(range(1, 17))
    for parcel, month, band in product((1, 7, 16), (0, 5, 11), ("B02", "B11", "B8A")):
        inside = months[month, bands.index(band)][numbers == parcel]
        row = table.loc[parcel]
        np.testing.assert_allclose(row[f"{band}_{month:02d}_mean"], inside.mean(), rtol=1e-5)
        np.testing.assert_allclose(row[f"{band}_{month:02d}_std"], inside.std(), rtol=1e-3, atol=0.02)
        assert row["label"] == codes[numbers == parcel][0]
        assert row["counts"] == (numbers == parcel).sum()


@pytest.fixture(scope="module")
def tables(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    bands = sensor("sentinel2_l1c").select(tuple(sorted(sensor("sentinel2_l1c").names)))
    for part, path in zip(("train", "val", "test"), sorted(folder.glob("*.nc")), strict=False):
        parcel_table(open_patch(path, bands)).to_csv(root / f"exp1_{part}.csv.gz", index=False)
    return root


@pytest.mark.slow
def test_tables_of_parcels_are_read_as_published(folder, tables):
    of_patches, found = read_sen4agrinet_oad(folder), read_sen4agrinet_oad(tables)
    assert of_patches.values.shape[1:] == (7, 26)
    assert of_patches.features.names[:4] == ("B01_mean", "B01_std", "B02_mean", "B02_std")
    assert of_patches.features.names[-1] == "B8A_std"
    assert set(of_patches.parts) == {"train", "val", "test"}
    one = [s for s in of_patches.ids if s.startswith(sorted(folder.glob("*.nc"))[0].stem)]
    mine = found.select(found.parts == "train")
    np.testing.assert_allclose(mine.values, of_patches.select(np.isin(of_patches.ids, one)).values, rtol=1e-5)
    assert found.groups is None
    assert list(MONTHS) == [4, 5, 6, 7, 8, 9, 10]
    assert len(parcel_features()) == 26


def test_the_release_trains_on_the_table_that_it_tests_on(tables):
    """The data module of the release builds all three parts from `_test.csv.gz`; here each part has its own."""
    parts = read_sen4agrinet_oad(tables)
    rows = {part: {row.tobytes() for row in parts.values[parts.parts == part]} for part in ("train", "val", "test")}
    assert not rows["train"] & rows["test"]
    assert not rows["val"] & rows["test"]


def test_broken_tables(tmp_path):
    with pytest.raises(ReadError, match="lacks a table of the train part"):
        read_sen4agrinet_oad(tmp_path)
    for part in ("train", "val", "test"):
        pd.DataFrame({"parcel_id": [1], "label": [110]}).to_csv(tmp_path / f"exp1_{part}.csv.gz", index=False)
    with pytest.raises(DataError, match="lacks columns"):
        read_sen4agrinet_oad(tmp_path)
    (tmp_path / "exp1_train.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(SwathError, match="cannot be read"):
        read_sen4agrinet_oad(tmp_path)
    pd.DataFrame({"label": [110]}).to_csv(tmp_path / "exp2_train.csv.gz", index=False)
    with pytest.raises(DataError, match="several splits"):
        read_sen4agrinet_oad(tmp_path)
