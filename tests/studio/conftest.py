"""A small served folder: a scene, two class maps, labels, a run, and files that are broken or lie elsewhere."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely

import tiny

LEGEND = {1: (200, 30, 40, 255), 2: (20, 160, 60, 255)}
GRID = tiny.grid(64, 64, tiny.UTM33, 10.0)


def class_map():
    """Class 1 in the west, 2 in the east, no data in the first rows."""
    codes = np.ones((64, 64), np.uint8)
    codes[:, 32:] = 2
    codes[:8] = 0
    return codes


def scene():
    """Two bands of 16 bit, the first a ramp from west to east, and no data in the south-east corner."""
    ramp = np.broadcast_to(1000 + 100 * np.arange(64), (64, 64))
    values = np.stack([ramp, 9000 - ramp]).astype(np.uint16)
    values[:, -4:, -4:] = 0
    return values


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    root = tmp_path_factory.mktemp("served") / "place"
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir(parents=True)
    tiny.write_raster(root / "scene_20230610.tif", scene(), GRID, nodata=0, names=("a", "b"))
    first = class_map()
    second = first.copy()
    second[20:30, 30:40] = 2
    for name, codes in {"first": first, "second": second}.items():
        tiny.write_raster(root / f"{name}.tif", codes, GRID, nodata=0, colormap=LEGEND)
        names = "".join(f"<Category>{n}</Category>" for n in ("", "field", "forest"))
        band = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
        (root / f"{name}.tif.aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>")
    tiny.write_picture(root / "picture.png", np.full((3, 20, 30), 90, np.uint8))
    whole = (root / "scene_20230610.tif").read_bytes()
    (root / "truncated.tif").write_bytes(whole[: len(whole) // 2])
    (root / "noise.gpkg").write_bytes(b"no database")
    (root / "bad.yaml").write_text("a: [1")
    # a virtual raster under the suffix of a GeoTIFF, which names a file outside
    tiny.write_raster(elsewhere / "secret.tif", first, GRID)
    (root / "virtual.tif").write_text(
        f'<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{elsewhere / 'secret.tif'}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        f"</VRTRasterBand></VRTDataset>"
    )
    (root / "link.tif").symlink_to(elsewhere / "secret.tif")
    tiny.boxes([(10, 4, 20, 20), (10, 40, 20, 20)], GRID, **{"class": ["field", "forest"]}).to_file(root / "truth.gpkg")
    gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs="EPSG:4326").to_file(root / "point.geojson")
    _write_run(root / "runs" / "old")
    return root


def _write_run(folder):
    folder.mkdir(parents=True)
    options = {
        "classes": {"type": "classes", "names": ["field", "forest"], "codes": [1, 2], "ignored": [],
                    "colours": [[200, 30, 40], [20, 160, 60]]},
    }  # fmt: skip
    description = {"kind": "segmentation", "system": {"id": "bhutan_rice", "options": options}}
    (folder / "task.json").write_text(json.dumps(description))
    (folder / "metrics.csv").write_text("epoch,train_loss,val_miou\n0,1.5,0.2\n1,0.9,nan\n")
    score = {"value": 0.8, "low": 0.7, "high": 0.9}
    scores = {
        "part": "test", "system": {"miou": score},
        "baselines": {"majority": {"miou": {**score, "value": float("nan")}}},
        "details": {"confusion": [[5, 1], [2, 7]], "classes": ["field", "forest"]}, "facts": {"pixels": 15},
    }  # fmt: skip
    (folder / "scores-test.json").write_text(json.dumps(scores))
    (folder / "leaks.json").write_text(json.dumps({"findings": [], "looked_at": "scenes: 1"}))


@pytest.fixture
def client(served):
    testing = pytest.importorskip("starlette.testclient", reason="the extra `studio` is not installed")
    from swath.studio.app import create_app

    with testing.TestClient(create_app([served]), base_url="http://localhost") as made:
        yield made
