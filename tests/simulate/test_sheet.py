"""Contact sheets: a panel for each sensor and season, none of them empty."""

import numpy as np
import pytest
from PIL import Image

from swath.cli import main
from swath.simulate import sheet
from swath.simulate.world import make_world


@pytest.mark.slow
def test_every_sensor_and_season_shows_something():
    place = make_world(seed=3, width=900, height=900, towns=80)
    panels = sheet.sensors(place)
    shown = " ".join(title for title, _ in panels)
    sensors = ("sentinel2_l2a", "sentinel2_l1c", "landsat8", "planetscope4", "aerial", "naip", "modis")
    others = ("VV", "phase", "coherence", "spectrometer", "methane", "thermal", "night", "DSM", "land cover", "biomass")
    assert all(name in shown for name in (*sensors, *others))
    for title, picture in panels:
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        if "cloud" not in title:  # so small a world may lie under one cloud
            assert picture.std() > 5, title
    through_the_year = [picture for title, picture in sheet.seasons(place) if "nir" not in title]
    assert len(through_the_year) == 9
    # winter is brown, summer green, snow white
    green = [float((p[..., 1].astype(float) - p[..., 0]).mean()) for p in through_the_year]
    colour = [float(np.ptp(p.astype(int), axis=2).mean()) for p in through_the_year]
    assert green[0] < green[4]
    assert colour[-1] < 0.5 * colour[0]


def test_panels_stand_side_by_side(tmp_path):
    panels = [(f"panel {n}", np.full((30, 40, 3), 20 * n, np.uint8)) for n in range(5)]
    path = sheet.sheet(panels, tmp_path / "a.png", size=100, across=3)
    with Image.open(path) as made:
        assert made.size == (300, 240)
        values = np.asarray(made.convert("RGB"))
    assert all((values == 20 * n).all(2).mean() > 0.02 for n in range(5))


def test_the_command_line_writes_sheets_of_its_world(tmp_path, monkeypatch, capsys):
    asked = []

    def write(world, folder):
        asked.append((world.config.seed, world.config.width, folder))
        return [folder / "sensors.png"]

    monkeypatch.setattr(sheet, "write_sheets", write)
    words = ["simulate", "village", "-o", str(tmp_path), "--size", "700m", "--seed", "4", "--sensors", "thermal"]
    assert main(words) == 0
    assert not asked
    assert main([*words, "--sheets"]) == 0
    assert asked == [(4, 700.0, tmp_path / "sheets")]
    assert str(tmp_path / "sheets" / "sensors.png") in capsys.readouterr().out
