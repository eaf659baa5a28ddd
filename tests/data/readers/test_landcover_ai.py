"""The LandCover.ai reader: tile numbers, reading in place, TorchGeo as oracle, and every bad input."""

import sys
import tracemalloc

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin

from swath.data.readers.landcover_ai import CLASSES, SHARES, read_landcover_ai, split_sheets, tile_windows
from swath.errors import ConfigError, DataError, GridError, ReadError, SwathError
from swath.geo.grids import window_grid
from swath.geo.windows import Window, whole

_PARTS = ("train", "val", "test")


def _write(path, values, gsd, crs="EPSG:2180", west=400_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype=values.dtype,
        crs=crs,
        transform=from_origin(west, 500_000, gsd, gsd),
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="lzw",
    ) as file:
        file.write(values)


def _sheet(root, name, shape, gsd=0.25, seed=0, **changes):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (3, *shape), np.uint8)
    mask = rng.integers(0, 5, (1, *shape), np.uint8)
    image, mask = changes.get("image", image), changes.get("mask", mask)
    placed = {key: value for key, value in changes.items() if key in ("crs", "west")}
    _write(root / "images" / f"{name}.tif", image, gsd, **placed)
    _write(root / "masks" / f"{name}.tif", mask, gsd, **placed)
    return image, mask[0]


def _lists(root, train=(), val=(), test=()):
    for part, tiles in zip(_PARTS, (train, val, test), strict=True):
        (root / f"{part}.txt").write_text("".join(f"{tile}\n" for tile in tiles))


@pytest.fixture
def published(tmp_path):
    """Two sheets, of 0.25 and 0.5 m, with 2 x 2 and 1 x 1 tiles; the wider has a partial column that is counted."""
    sheets = {
        "M-33-20-D-c-4-2": _sheet(tmp_path, "M-33-20-D-c-4-2", (1100, 1300), seed=1),
        "N-33-60-D-c-4_2": _sheet(tmp_path, "N-33-60-D-c-4_2", (600, 700), 0.5, seed=2, west=410_000),
    }
    _lists(
        tmp_path,
        ["M-33-20-D-c-4-2_0", "M-33-20-D-c-4-2_4"],
        ["M-33-20-D-c-4-2_1"],
        ["M-33-20-D-c-4-2_3", "N-33-60-D-c-4_2_0"],
    )
    return tmp_path, sheets


def _cut(height, width, edge):
    """Number and corner of every whole tile, counted while walking over all cells."""
    k, whole_cells = 0, {}
    for row in range(0, height, edge):
        for col in range(0, width, edge):
            if row + edge <= height and col + edge <= width:
                whole_cells[k] = (row, col)
            k += 1
    return whole_cells


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 16))
@settings(deadline=None)
def test_numbers_count_partial_cells_that_are_no_tiles(height, width, edge):
    windows = tile_windows((height, width), edge)
    assert {k: (w.row, w.col) for k, w in windows.items()} == _cut(height, width, edge)
    assert len(windows) == (height // edge) * (width // edge)
    assert all(w.shape == (edge, edge) and whole((height, width)).contains(w) for w in windows.values())


def test_a_sheet_of_published_size_has_the_tiles_of_the_published_cut():
    windows = tile_windows((9000, 9500))
    assert len(windows) == 17 * 18
    assert sorted(windows)[16:20] == [16, 17, 19, 20]  # cell 18 of 19 is partial, but counted
    assert windows[19] == Window(512, 0, 512, 512)
    assert max(windows) == 16 * 19 + 17
    cells = np.zeros((9000 // 4, 9500 // 4), np.uint8)
    for window in windows.values():
        cells[window.row // 4 : window.row_stop // 4, window.col // 4 : window.col_stop // 4] += 1
    assert cells[: 17 * 128, : 18 * 128].min() == cells.max() == 1  # stitched again without gap or overlap


def test_published_tiles_are_read_in_place(published):
    root, sheets = published
    data = read_landcover_ai(root, split="published")
    assert {s.id: s.part for s in data} == {
        "M-33-20-D-c-4-2_0": "train",
        "M-33-20-D-c-4-2_4": "train",
        "M-33-20-D-c-4-2_1": "val",
        "M-33-20-D-c-4-2_3": "test",
        "N-33-60-D-c-4_2_0": "test",
    }
    corners = {0: (0, 0), 1: (0, 512), 3: (512, 0), 4: (512, 512)}
    for scene in data:
        image, mask = sheets[scene.group]
        row, col = corners[int(scene.id[-1])]
        values, valid = scene.layers["image"].read(Window(0, 0, 512, 512))
        np.testing.assert_array_equal(values, image[:, row : row + 512, col : col + 512])
        np.testing.assert_array_equal(scene.labels.read(scene.grid), mask[row : row + 512, col : col + 512])
        assert valid.all()
        x, y = scene.grid.affine @ (0, 0)
        gsd = scene.grid.affine.a
        west = 400_000 if gsd == 0.25 else 410_000
        assert (x, y) == (west + col * gsd, 500_000 - row * gsd)
    assert data.classes.names == ("background", "building", "woodland", "water", "road")
    assert data.facts["sheets by metres a pixel"] == {0.25: 1, 0.5: 1}
    assert data.facts["tiles in no list"] == 0


def test_nothing_beyond_a_tile_is_seen(published):
    root, _ = published
    tile = read_landcover_ai(root, split="published")[0]
    beyond = Window(500, 500, 40, 40)
    values, valid = tile.layers["image"].read(beyond)
    labels = tile.labels.read(window_grid(tile.grid, beyond))
    inside = np.zeros((40, 40), bool)
    inside[:12, :12] = True
    np.testing.assert_array_equal(valid, inside)
    np.testing.assert_array_equal(labels >= 0, inside)
    assert not values[:, ~inside].any()


def test_sheets_stay_whole_in_a_split_by_sheet(tmp_path):
    for number in range(6):
        _sheet(tmp_path, f"sheet-{number}", (520, 530), seed=number)
    data = read_landcover_ai(tmp_path)
    assert [s.grid.shape for s in data] == [(520, 530)] * 6
    assert {s.part for s in data} == set(_PARTS)
    assert all(s.group == s.id for s in data)
    assert [s.part for s in data] == [s.part for s in read_landcover_ai(tmp_path)]


def test_a_split_by_sheet_meets_the_shares_in_each_resolution():
    sheets = {f"q{i}": (17 * 18, 0.25) for i in range(33)} | {f"h{i}": (8 * 9, 0.5) for i in range(8)}
    for seed in range(20):
        parts = split_sheets(sheets, seed)
        for resolution in (0.25, 0.5):
            alike = {name: tiles for name, (tiles, gsd) in sheets.items() if gsd == resolution}
            tiles = {part: sum(alike[name] for name in alike if parts[name] == part) for part in _PARTS}
            largest = max(alike.values())
            for part, share in SHARES.items():
                assert abs(tiles[part] - share * sum(tiles.values())) <= largest
                assert tiles[part] > 0
    assert split_sheets(sheets, 0) != split_sheets(sheets, 1)
    assert set(split_sheets({"a": (1, 0.25), "b": (9, 0.5), "c": (1, 0.1)}, 0).values()) == set(_PARTS)


def test_sheets_are_averaged_to_one_resolution(published):
    root, sheets = published
    data = {s.id: s for s in read_landcover_ai(root, split="published", gsd=0.5)}
    fine, coarse = data["M-33-20-D-c-4-2_4"], data["N-33-60-D-c-4_2_0"]
    assert (fine.grid.shape, coarse.grid.shape) == ((256, 256), (512, 512))
    image, _ = sheets["M-33-20-D-c-4-2"]
    block = image[:, 512:1024, 512:1024].astype(float).reshape(3, 256, 2, 256, 2).mean((2, 4))
    values, valid = fine.layers["image"].read(whole(fine.grid.shape))
    assert np.abs(values - block).max() <= 0.5
    assert valid.all()
    assert fine.labels.read(fine.grid).shape == (256, 256)
    assert (fine.labels.read(fine.grid) >= 0).all()
    np.testing.assert_array_equal(
        coarse.layers["image"].read(whole((512, 512)))[0], sheets["N-33-60-D-c-4_2"][0][:, :512, :512]
    )


def test_a_sheet_is_never_loaded_whole(tmp_path):
    image = np.zeros((3, 4096, 4096), np.uint8)
    _sheet(tmp_path, "large", (4096, 4096), image=image, mask=image[:1])
    _lists(tmp_path, ["large_27"], ["large_0"], ["large_63"])
    tracemalloc.start()
    tile = read_landcover_ai(tmp_path, split="published")[0]
    tile.layers["image"].read(whole(tile.grid.shape))
    tile.labels.read(tile.grid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes / 3


def test_altered_copies_are_made_of_training_tiles_only(published):
    root, _ = published
    data = read_landcover_ai(root, split="published", copies=9)
    assert len(data) == 5 + 2 * 9
    assert all(s.part == "train" for s in data if "~" in s.id)
    copy = next(s for s in data if "~" in s.id)
    assert copy.labels.read(copy.grid).shape == copy.layers["image"].read(whole(copy.grid.shape))[0].shape[1:]


@pytest.fixture
def cut(tmp_path):
    """The layout that the published script leaves: JPEG tiles and masks of three equal channels."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "output"
    folder.mkdir()
    tiles = {}
    for name in ("a_0", "a_1", "b-c_0", "b-c_7", "d_d_2"):
        waves = np.arange(512) / rng.uniform(20, 60, (3, 2, 1)) + rng.uniform(0, 6, (3, 2, 1))
        smooth = np.moveaxis(128 + 100 * np.sin(waves[:, 0, :, None]) * np.cos(waves[:, 1, None]), 0, 2).astype(
            np.uint8
        )
        mask = np.kron(rng.integers(0, 5, (32, 32), np.uint8), np.ones((16, 16), np.uint8))
        Image.fromarray(smooth).save(folder / f"{name}.jpg", quality=95, subsampling=0)
        Image.fromarray(np.repeat(mask[..., None], 3, 2)).save(folder / f"{name}_m.png")
        tiles[name] = mask
    _lists(tmp_path, ["a_0", "b-c_7", "d_d_2"], ["a_1"], ["b-c_0"])
    return tmp_path, tiles


def test_cut_tiles_are_those_that_torchgeo_reads(cut):
    torchgeo = pytest.importorskip("torchgeo.datasets", reason="TorchGeo is not installed")
    root, tiles = cut
    data = {s.id: s for s in read_landcover_ai(root, split="published")}
    count = 0
    for part in _PARTS:
        oracle = torchgeo.LandCoverAI(str(root), split=part)
        for name, sample in zip(map(str.strip, oracle.ids), oracle, strict=True):
            scene = data[name]
            assert scene.part == part
            values, valid = scene.layers["image"].read(whole((512, 512)))
            assert np.abs(values - sample["image"].numpy()).max() <= 1  # two JPEG decoders
            np.testing.assert_array_equal(scene.labels.read(scene.grid), sample["mask"].numpy())
            np.testing.assert_array_equal(scene.labels.read(scene.grid), tiles[name])
            assert valid.all()
            count += 1
    assert count == len(data) == 5


def test_sheets_are_those_that_torchgeo_reads(published):
    torchgeo = pytest.importorskip("torchgeo.datasets", reason="TorchGeo is not installed")
    root, _ = published
    for scene in read_landcover_ai(root, split="published"):
        if scene.group != "M-33-20-D-c-4-2":
            continue
        oracle = torchgeo.LandCoverAIGeo(str(root), res=0.25)
        box = scene.grid.extent.boundingbox
        sample = oracle[box.left : box.right, box.bottom : box.top]
        np.testing.assert_array_equal(scene.layers["image"].read(whole((512, 512)))[0], sample["image"].numpy())
        np.testing.assert_array_equal(scene.labels.read(scene.grid), sample["mask"].numpy().squeeze())


def test_cut_tiles_are_split_by_sheet(cut):
    root, _ = cut
    data = read_landcover_ai(root)
    assert len(data) == 5
    by_sheet = {}
    for scene in data:
        by_sheet.setdefault(scene.group, set()).add(scene.part)
    assert set(by_sheet) == {"a", "b-c", "d_d"}
    assert all(len(parts) == 1 for parts in by_sheet.values())
    assert {s.part for s in data} == set(_PARTS)


def _without_mask(root):
    (root / "masks" / "M-33-20-D-c-4-2.tif").unlink()


def _smaller_mask(root):
    _write(root / "masks" / "M-33-20-D-c-4-2.tif", np.zeros((1, 1099, 1300), np.uint8), 0.25)


def _displaced_mask(root):
    _write(root / "masks" / "M-33-20-D-c-4-2.tif", np.zeros((1, 1100, 1300), np.uint8), 0.26)


def _sixteen_bit(root):
    _write(root / "images" / "M-33-20-D-c-4-2.tif", np.zeros((3, 1100, 1300), np.uint16), 0.25)


def _four_bands(root):
    _write(root / "images" / "M-33-20-D-c-4-2.tif", np.zeros((5, 1100, 1300), np.uint8), 0.25)


def _two_band_mask(root):
    _write(root / "masks" / "M-33-20-D-c-4-2.tif", np.zeros((2, 1100, 1300), np.uint8), 0.25)


def _no_crs(root):
    _sheet(root, "M-33-20-D-c-4-2", (1100, 1300), crs=None)


def _no_list(root):
    (root / "val.txt").unlink()


def _binary_list(root):
    (root / "val.txt").write_bytes(b"\xff\xfe\x00")


def _truncated(root):
    path = root / "images" / "M-33-20-D-c-4-2.tif"
    path.write_bytes(path.read_bytes()[:100])


def _empty(root):
    for path in (root / "images").iterdir():
        path.unlink()


def _add(part, tile):
    def change(root):
        with (root / f"{part}.txt").open("a") as file:
            file.write(f"{tile}\n")

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_without_mask, DataError, "without mask.*M-33-20"),
        (_smaller_mask, DataError, "not on the same pixels"),
        (_displaced_mask, DataError, "not on the same pixels"),
        (_sixteen_bit, DataError, "uint16.*uint8"),
        (_four_bands, SwathError, "number of bands"),
        (_two_band_mask, DataError, "number of bands"),
        (_no_crs, GridError, "coordinate reference"),
        (_no_list, ReadError, r"val\.txt.*split='sheet'"),
        (_binary_list, ReadError, r"val\.txt"),
        (_truncated, ReadError, "M-33-20"),
        (_empty, ReadError, "no images"),
        (_add("val", "Z-99_0"), DataError, "sheets that are not there.*Z-99"),
        (_add("val", "M-33-20-D-c-4-2_2"), DataError, "do not have.*_2"),
        (_add("val", "M-33-20-D-c-4-2_999"), DataError, "do not have.*999"),
        (_add("val", "../../etc/passwd_0"), DataError, "no tile.*passwd"),
        (_add("val", "nonsense"), DataError, "no tile.*nonsense"),
        (_add("val", "M-33-20-D-c-4-2_1"), DataError, "twice.*_1"),
        (_add("test", "M-33-20-D-c-4-2_0"), DataError, "twice.*_0"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_opened(published, change, error, message):
    root, _ = published
    change(root)
    with pytest.raises(error, match=message):
        read_landcover_ai(root, split="published")


def test_a_value_that_is_no_class_is_named(tmp_path):
    mask = np.zeros((1, 512, 512), np.uint8)
    mask[0, 3, 4] = 7
    _sheet(tmp_path, "a", (512, 512), mask=mask)
    _lists(tmp_path, ["a_0"])
    with pytest.raises(DataError, match=r"a\.tif.*7 \(1 pixels\)"):
        read_landcover_ai(tmp_path, split="published")


def test_options_that_cannot_be_met_are_refused(published, cut, tmp_path_factory):
    root, _ = published
    with pytest.raises(ConfigError, match="no such split"):
        read_landcover_ai(root, split="random")
    with pytest.raises(ConfigError, match="positive"):
        read_landcover_ai(root, gsd=-1)
    with pytest.raises(DataError, match="too few sheets"):
        read_landcover_ai(root)
    with pytest.raises(ReadError, match="no LandCover"):
        read_landcover_ai(tmp_path_factory.mktemp("empty"))


def test_cut_tiles_have_no_resolution_and_must_be_there(cut):
    root, _ = cut
    with pytest.raises(ConfigError, match="resolution"):
        read_landcover_ai(root, gsd=0.5)
    (root / "output" / "a_1.jpg").unlink()
    (root / "output" / "a_1_m.png").unlink()
    with pytest.raises(DataError, match=r"not there.*a_1"):
        read_landcover_ai(root, split="published")


def test_the_shipped_script_is_never_run(published):
    root, _ = published
    (root / "split.py").write_text("import sys; sys.modules['landcover_ai_script_ran'] = sys\n")
    read_landcover_ai(root, split="published")
    assert "landcover_ai_script_ran" not in sys.modules


def test_the_legend_has_the_published_codes():
    assert CLASSES.codes == (0, 1, 2, 3, 4)
    assert CLASSES.ignored == ()
