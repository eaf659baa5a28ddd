"""What users really give: each gets one clear message or a correct result, and no file is half-written."""

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from safetensors.numpy import load_file

import tiny
from damage import spoil_a_block
from swath.cli import main

QUICK = ["--epochs=2", "--patch=16", "--batch=16", "--samples=64", "--accelerator=cpu"]


@pytest.fixture
def own(folder, tmp_path):
    """A copy of the user's folder that a test may spoil."""
    return shutil.copytree(folder, tmp_path / "own")


@pytest.fixture
def refused(capsys):
    """Run words that must be refused in one message that holds all of `told`; gives the message."""

    def run(words, *told):
        assert main([str(word) for word in words]) == 1
        said = capsys.readouterr().err
        assert said.count("swath: ") == 1
        assert "Traceback" not in said
        assert "unexpected" not in said
        assert all(text in said for text in told), said
        return said

    return run


def described(own, **changes):
    """The user's YAML with changes; `None` takes a key away."""
    path = own / "data.yaml"
    found = {**yaml.safe_load(path.read_text()), **changes}
    path.write_text(yaml.safe_dump({key: value for key, value in found.items() if value is not None}))
    return path


def fit(own, tmp_path, *more):
    return ["fit", "bhutan_rice", own / "data.yaml", "-o", tmp_path / "new", *QUICK, *more]


def predict(run, scene, tmp_path, *more):
    return ["predict", run, scene, "-o", tmp_path / "map.tif", *more]


def nothing_is_left(tmp_path):
    return not [path for path in tmp_path.iterdir() if path.name.startswith(("map", "."))]


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class TestScenes:
    def test_truncated(self, own, run, tmp_path, refused):
        truncate(own / "west.tif")
        refused(predict(run, own / "west.tif", tmp_path), "west.tif")
        refused(fit(own, tmp_path), "west.tif")
        assert nothing_is_left(tmp_path)

    def test_a_damaged_block(self, own, run, tmp_path, refused):
        values = np.random.default_rng(0).random((2, 192, 192), np.float32)
        tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
        scene = tiny.write_raster(own / "west.tif", values, tiny.grid(192, 192), names=("a", "b"), **tiled)
        spoil_a_block(scene, 1, 1)
        product = tmp_path / "map.tif"
        refused(["predict", run, scene, "-o", product], "west.tif is damaged", "block 1, 1", "--on-error skip")
        assert not product.exists()
        assert main(["predict", str(run), str(scene), "-o", str(product), "--on-error", "skip"]) == 0
        with rasterio.open(product) as file:
            missing = file.read_masks(1) == 0
        assert missing[64:128, 64:128].all()
        assert missing.sum() == 64 * 64

    def test_no_raster(self, own, run, tmp_path, refused):
        (own / "west.tif").write_text("this is no raster")
        refused(predict(run, own / "west.tif", tmp_path), "west.tif")
        refused(fit(own, tmp_path), "west.tif")

    def test_empty_file_and_folder(self, own, run, tmp_path, refused):
        (own / "west.tif").write_bytes(b"")
        refused(predict(run, own / "west.tif", tmp_path), "west.tif")
        refused(predict(run, own, tmp_path), "own")

    def test_without_crs(self, own, run, tmp_path, refused):
        scene = tiny.write_raster(own / "west.tif", tiny.smooth(40, 40, 2), tiny.grid(40, 40, crs=None))
        refused(predict(run, scene, tmp_path), "no coordinate reference system", "west.tif")
        refused(fit(own, tmp_path), "no coordinate reference system", "west.tif")
        assert main([str(w) for w in predict(run, scene, tmp_path, "--crs", tiny.UTM33)]) == 0
        with rasterio.open(tmp_path / "map.tif") as made:
            assert made.crs == tiny.UTM33

    def test_rotated(self, own, run, tmp_path, refused):
        turned = rasterio.Affine.translation(500_000, 5_000_000) @ rasterio.Affine.rotation(30)
        with rasterio.open(
            own / "west.tif", "w", "GTiff", 40, 40, 2, crs=tiny.UTM33, transform=turned, dtype="float32"
        ) as file:
            file.write(tiny.smooth(40, 40, 2))
        refused(predict(run, own / "west.tif", tmp_path), "west.tif", "north-up")
        refused(fit(own, tmp_path), "west.tif", "north-up")

    def test_a_missing_and_a_doubled_band(self, own, run, tmp_path, refused):
        one = tiny.write_raster(tmp_path / "one.tif", tiny.smooth(40, 40, 1), tiny.grid(40, 40), names=("a",))
        refused(predict(run, one, tmp_path), "b", "one.tif")
        twice = tiny.write_raster(
            tmp_path / "twice.tif", tiny.smooth(40, 40, 3), tiny.grid(40, 40), names=("a", "b", "a")
        )
        refused(predict(run, twice, tmp_path), "a", "twice.tif")
        described(own, layers={"image": {"files": "*.tif", "sensor": "custom", "bands": ["a", "a"], "unit": "1"}})
        refused(fit(own, tmp_path), "named twice")

    def test_counts_where_reflectance_is_expected(self, own, tmp_path, refused):
        described(
            own, layers={"image": {"files": "*.tif", "sensor": "sentinel2_l2a", "bands": ["B04", "B08"], "scale": 1.0}}
        )
        for name in ("west", "east"):
            tiny.write_raster(
                own / f"{name}.tif", tiny.smooth(96, 96, 2, low=200, high=9000).astype(np.uint16), tiny.grid(96, 96)
            )
        refused(fit(own, tmp_path), "reflectance")

    def test_all_nodata(self, own, run, tmp_path, refused):
        empty = tiny.write_raster(
            tmp_path / "empty.tif", np.full((2, 40, 40), -1, np.float32), tiny.grid(40, 40), nodata=-1, names=("a", "b")
        )
        refused(predict(run, empty, tmp_path), "no valid pixel")
        for name in ("west", "east"):
            shutil.copy(empty, own / f"{name}.tif")
        refused(fit(own, tmp_path), "no valid pixel")

    def test_nan_and_infinity_are_invalid_where_they_are(self, own, run, tmp_path):
        with rasterio.open(own / "west.tif", "r+") as file:
            values = file.read()
            values[0, 3:5, 3:9], values[1, 50, 60:70] = np.nan, np.inf
            file.write(values)
        assert main([str(w) for w in predict(run, own / "west.tif", tmp_path)]) == 0
        with rasterio.open(tmp_path / "map.tif") as made:
            gone = made.read(1) == made.nodata
        assert gone[3:5, 3:9].all()
        assert gone[50, 60:70].all()
        assert gone.sum() == 12 + 10

    def test_smaller_than_a_patch(self, own, run, tmp_path):
        small = tiny.write_raster(tmp_path / "s.tif", tiny.smooth(5, 7, 2), tiny.grid(5, 7), names=("a", "b"))
        assert main([str(w) for w in predict(run, small, tmp_path)]) == 0
        with rasterio.open(tmp_path / "map.tif") as made:
            assert made.shape == (5, 7)
            assert (made.read(1) != made.nodata).all()
        assert main([str(w) for w in fit(own, tmp_path, "--patch=256", "--samples=4", "--batch=2")]) == 0


class TestLabels:
    def test_another_crs_is_warped_and_said(self, own, tmp_path, capsys):
        assert main([str(w) for w in fit(own, tmp_path)]) == 0
        assert "from EPSG:3035 to EPSG:32632" in " ".join(capsys.readouterr().err.split())

    def test_no_overlap(self, own, tmp_path, refused):
        away = gpd.read_file(own / "fields.gpkg").translate(xoff=500_000)
        gpd.GeoDataFrame({"kind": ["field"] * len(away)}, geometry=away).to_file(own / "fields.gpkg")
        refused(fit(own, tmp_path), "Labels and images do not overlap", "fields.gpkg")

    def test_a_value_outside_the_classes(self, own, tmp_path, refused):
        frame = gpd.read_file(own / "fields.gpkg")
        frame.loc[1, "kind"] = "swamp"
        frame.to_file(own / "fields.gpkg")
        refused(fit(own, tmp_path), "'swamp' (1 rows)", "other, field")

    def test_a_raster_code_outside_the_classes(self, own, tmp_path, refused):
        codes = np.ones((96, 96), np.uint8)
        codes[:2, :3] = 77
        for name, grid in {"west": tiny.grid(96, 96, tiny.UTM32, x=700_000), "east": tiny.grid(96, 96)}.items():
            tiny.write_raster(own / "codes" / f"{name}.tif", codes, grid)
        described(
            own,
            labels={"files": "codes/{id}.tif"},
            layers={"image": {"files": "{id}.tif", "sensor": "custom", "bands": ["a", "b"], "unit": "1"}},
        )
        refused(fit(own, tmp_path), "77")

    def test_no_geometry(self, own, tmp_path, refused):
        gpd.GeoDataFrame({"kind": ["field"]}, geometry=[shapely.Polygon()], crs=tiny.LAEA).to_file(own / "fields.gpkg")
        refused(fit(own, tmp_path), "fields.gpkg", "no geometry")

    def test_without_crs(self, own, tmp_path, refused):
        (own / "fields.gpkg").unlink()
        frame = gpd.GeoDataFrame({"kind": ["field"]}, geometry=[shapely.box(0, 0, 9, 9)])
        frame.set_crs(tiny.LAEA).to_file(own / "fields.shp")
        (own / "fields.prj").unlink()
        described(own, labels={"files": "fields.shp", "attribute": "kind", "background": "other"})
        refused(fit(own, tmp_path), "fields.shp", "no coordinate reference system")


class TestDescriptions:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("layers: [", "data.yaml"),
            ("\tlayers: 3", "data.yaml"),
            ("just words", "data.yaml"),
            ("layers: {image: {files: 'none*.tif', sensor: custom, bands: [a, b], unit: '1'}}", "none*.tif"),
            ("layers: {image: {files: '*.tif', sensor: landsatt8}}", "landsatt8"),
            ("layers: {image: {files: '*.tif', sensor: custom, bands: [a, b], unit: '1'}}\nlabel: {}", "label"),
        ],
    )
    def test_what_is_wrong_is_named(self, own, tmp_path, refused, text, told):
        (own / "data.yaml").write_text(text)
        refused(fit(own, tmp_path), told)

    def test_an_empty_split(self, own, tmp_path, refused):
        described(own, split={"by": "block", "size": 100_000, "fractions": [0.6, 0.2, 0.2]})
        refused(fit(own, tmp_path), "An empty split")
        described(own, split={"by": "source"})
        refused(fit(own, tmp_path), "An empty split")

    def test_spaces_and_letters_of_other_alphabets(self, own, tmp_path):
        strange = own.rename(tmp_path / "Süd fjörður 田")
        assert main([str(w) for w in fit(strange, tmp_path)]) == 0


class Bomb:
    def __reduce__(self):
        return os.system, ("echo exploded > exploded",)


class TestWeights:
    @pytest.fixture
    def spoilt(self, run, tmp_path):
        return shutil.copytree(run, tmp_path / "run")

    def test_a_pickle_bomb_never_runs(self, own, spoilt, tmp_path, refused, monkeypatch):
        monkeypatch.chdir(tmp_path)
        bomb = pickle.dumps({"state_dict": Bomb()})
        (spoilt / "weights.safetensors").write_bytes(bomb)
        refused(predict(spoilt, own / "west.tif", tmp_path), "weights.safetensors")
        (tmp_path / "bomb.pt").write_bytes(bomb)
        with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
            archive.writestr("zip/data.pkl", bomb)
            archive.writestr("zip/version", "3\n")
        for name in ("bomb.pt", "zip.pt"):
            refused(fit(own, tmp_path, f"--weights={tmp_path / name}"), name)
        (spoilt / "last.ckpt").write_bytes(bomb)
        refused(["fit", spoilt / "config.yaml", "-o", spoilt], "last.ckpt")
        assert not (tmp_path / "exploded").exists()

    def test_truncated(self, own, spoilt, tmp_path, refused):
        truncate(spoilt / "weights.safetensors")
        refused(predict(spoilt, own / "west.tif", tmp_path), "weights.safetensors")

    def test_of_another_network(self, own, spoilt, run, tmp_path, refused):
        other = spoilt / "task.json"
        other.write_text(other.read_text().replace('"dnn"', '"unet"').replace("'dnn'", "'unet'"))
        config = spoilt / "config.yaml"
        config.write_text(config.read_text().replace("dnn", "unet"))
        words = ["fit", "bhutan_rice", own / "data.yaml", "-o", tmp_path / "new", "--network=unet", "--patch=16"]
        refused([*words, f"--weights={run / 'weights.safetensors'}"], "weights.safetensors")

    def test_a_damaged_run(self, own, spoilt, tmp_path, refused):
        (spoilt / "task.json").write_text('{"system": ')
        refused(predict(spoilt, own / "west.tif", tmp_path), "task.json")
        (spoilt / "task.json").write_text('{"system": {"id": "../../etc", "options": {}}}')
        refused(predict(spoilt, own / "west.tif", tmp_path), "../../etc")


SWATH = [sys.executable, "-m", "swath"]


def refused_in(words, *told):
    """Run words as a process, which must be refused in one message that holds all of `told`."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("swath: ") == 1
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert all(text in done.stderr for text in told), done.stderr


def require(prefix):
    """Skip the test where a process cannot be put into such a place."""
    if not shutil.which(prefix[0]) or subprocess.run([*map(str, prefix), "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"{prefix[0]} may not do that here")


def rightless():
    """Words before a command that keep root to the rights of files."""
    if os.geteuid():
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    require(prefix)
    return prefix


class TestOutputs:
    def test_a_place_that_takes_no_files(self, own, run, tmp_path, refused):
        refused(["predict", run, own / "west.tif", "-o", "/proc/map.tif"], "/proc")
        (tmp_path / "file").write_text("")
        refused(["predict", run, own / "west.tif", "-o", tmp_path / "file" / "map.tif"], "file")
        refused(["fit", "bhutan_rice", own / "data.yaml", "-o", tmp_path / "file" / "run", *QUICK], "file")

    def test_a_folder_without_rights(self, own, run, tmp_path):
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        refused_in([*rightless(), *SWATH, "predict", run, own / "west.tif", "-o", locked / "map.tif"], "locked")
        assert not list(locked.iterdir())
        own.chmod(0)
        refused_in([*rightless(), *SWATH, *predict(run, own / "west.tif", tmp_path)], "west.tif")
        own.chmod(0o700)

    def test_a_read_only_disk(self, own, run, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"', disk]
        require(mounted)
        words = ["predict", run, own / "west.tif", "-o", disk / "map.tif"]
        refused_in([*mounted, *SWATH, *words], "Read-only file system", "map.tif")

    def test_a_full_disk(self, own, run, tmp_path):
        """No file may grow beyond 4 kB, as on a disk that is full."""
        big = tiny.write_raster(tmp_path / "big.tif", tiny.smooth(300, 300, 2), tiny.grid(300, 300), names=("a", "b"))
        words = [sys.executable, "-m", "swath", *map(str, predict(run, big, tmp_path, "--products", "probabilities"))]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        )
        assert done.returncode == 1
        assert "swath: " in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.glob("map*"))
        assert main(words[3:]) == 0
        assert {path.name for path in tmp_path.glob("map*")} >= {"map-probabilities.tif"}

    def test_a_disk_that_fills_during_a_fit(self, own, tmp_path):
        """No file may grow beyond 64 kB, which the weights need; with room the same words go on."""
        words = [str(word) for word in fit(own, tmp_path)]
        done = subprocess.run(
            [*SWATH, *words],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
        )
        assert done.returncode == 1
        assert done.stderr.count("swath: Cannot write") == 1
        assert "Traceback" not in done.stderr
        left = {path.name for path in (tmp_path / "new").iterdir()}
        assert not left & {"weights.safetensors", "last.ckpt"}
        assert not [name for name in left if name.startswith(".")]
        assert main(words) == 0
        assert (tmp_path / "new" / "weights.safetensors").is_file()


def killed_when(words, ready, sleep=0.01):
    """Start the words as a process and kill it -9 as soon as `ready()`."""
    process = subprocess.Popen([sys.executable, "-m", "swath", *map(str, words)], stderr=subprocess.PIPE)
    while not ready():
        assert process.poll() is None, process.stderr.read()
        time.sleep(sleep)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_kill_in_the_middle_of_fit(own, tmp_path):
    words = [*fit(own, tmp_path), "--epochs=12"]
    metrics = tmp_path / "new" / "metrics.csv"
    killed_when(words, lambda: metrics.is_file() and metrics.read_text().count("\n") >= 3)
    assert metrics.read_text().count("\n") < 12
    assert main([str(w) for w in words]) == 0
    whole = [*words]
    whole[whole.index(tmp_path / "new")] = tmp_path / "whole"
    assert main([str(w) for w in whole]) == 0
    found, expected = (load_file(tmp_path / name / "weights.safetensors") for name in ("new", "whole"))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_kill_in_the_middle_of_predict(run, tmp_path):
    scene = tiny.write_raster(
        tmp_path / "big.tif", np.tile(tiny.smooth(500, 500, 2), (1, 4, 1)), tiny.grid(2000, 500), names=("a", "b")
    )
    words = predict(run, scene, tmp_path, "--tile=64")
    killed_when(words, lambda: len(list((tmp_path / ".map.tif.partial").glob("*"))) > 2)
    assert not (tmp_path / "map.tif").exists()
    assert main([str(w) for w in words]) == 0
    with rasterio.open(tmp_path / "map.tif") as made:
        found = made.read(1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.tif", "map.tif", "map.tif.aux.xml", "map.tif.stac.json"]
    (tmp_path / "map.tif").rename(tmp_path / "first.tif")
    assert main([str(w) for w in words]) == 0
    with rasterio.open(tmp_path / "map.tif") as made:
        assert np.array_equal(made.read(1), found)
