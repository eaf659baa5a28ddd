"""The report: its numbers are those of the scores and the map, and nothing in it can run."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import tiny
from swath.data.classes import Classes
from swath.tasks.report import mapped_areas, write_report
from swath.tasks.scores import Score, Scores

CLASSES = Classes.of({1: {"name": "land", "colour": "#00ff00"}, 2: {"name": "<b>water</b>", "colour": "#0000ff"}})
#: Rows true, columns mapped.
CONFUSION = [[40, 10], [0, 50]]


@pytest.fixture
def scores():
    return Scores(
        "test",
        {"accuracy": Score(0.9, 0.8, 0.95)},
        {"majority": {"accuracy": Score(0.5, 0.4, 0.6)}},
        {"confusion": CONFUSION, "classes": list(CLASSES.names)},
        {"pixels": 100},
    )


@pytest.fixture
def class_map(tmp_path):
    """60 x 100 pixels of a hectare: the upper third land, the rest water, one pixel unmapped."""
    codes = np.full((60, 100), 2, np.uint8)
    codes[:20] = 1
    codes[59, 99] = 0
    grid = tiny.grid(60, 100, "EPSG:6933", 100.0, 0.0, 0.0)  # of equal area
    return tiny.write_raster(tmp_path / "map.tif", codes, grid, nodata=0)


def test_areas_are_adjusted_by_hand(class_map, scores):
    """2000 and 3999 ha are mapped; of 60 mapped as water 10 are land, so land is 2000 + 3999 / 6."""
    land, water = mapped_areas(class_map, scores, CLASSES)
    assert [land["mapped"], water["mapped"]] == pytest.approx([2000, 3999], rel=1e-3)
    assert [land["estimate"], water["estimate"]] == pytest.approx([2000 + 3999 / 6, 3999 * 5 / 6], rel=1e-3)
    margin = 1.96 * 3999 * np.sqrt(1 / 6 * 5 / 6 / 59)
    assert land["high"] - land["low"] == pytest.approx(2 * margin, rel=1e-3)


def test_a_map_without_crs_has_no_areas(tmp_path, scores):
    bare = tiny.write_raster(tmp_path / "b.tif", np.ones((4, 4), np.uint8), tiny.grid(4, 4, crs=None))
    assert mapped_areas(bare, scores, CLASSES) == []


def test_the_page_shows_what_it_is_given_and_runs_nothing(class_map, scores, tmp_path):
    history = tmp_path / "metrics.csv"
    history.write_text("epoch,train_loss,val_miou\n0,1.0,0.2\n1,0.5,0.4\n")
    page = tmp_path / "report.html"
    write_report(
        page, title="A <script>alert(1)</script> map", scores=scores, classes=CLASSES, map_path=class_map,
        areas=mapped_areas(class_map, scores, CLASSES), leaks="2 & 3 are <alike>", history=history,
        notes=["mind <this>"],
    )  # fmt: skip
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "<b>water" not in text
    for shown in ("0.900 [0.800, 0.950]", "0.500 [0.400, 0.600]", "2 &amp; 3 are &lt;alike&gt;", "mind &lt;this&gt;"):
        assert shown in text
    # precision of water 50 / 60, IoU of land 40 / 50
    assert "<td>0.833</td>" in text
    assert "<td>0.800</td>" in text
    assert "http" not in text
    pictures = [base64.b64decode(data) for data in re.findall(r"data:image/png;base64,([^\"]+)", text)]
    assert len(pictures) == 3
    colours = np.asarray(Image.open(io.BytesIO(pictures[0])).convert("RGB"))
    assert colours.shape == (60, 100, 3)
    assert colours[0, 0].tolist() == [0, 255, 0]
    assert colours[30, 0].tolist() == [0, 0, 255]
    assert colours[59, 99].tolist() == [255, 255, 255]
