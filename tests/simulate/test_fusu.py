"""FUSU from a world: truth of both dates, and what the months show of the fields between them."""

import numpy as np
import pytest

from swath.data.pair_labels import pair_of
from swath.data.readers.fusu import read_fusu
from swath.errors import ConfigError
from swath.simulate.fusu import MONTHS, fusu
from swath.simulate.world import make_world


@pytest.fixture(scope="module")
def farmland():
    return make_world(seed=5, width=1500, height=1500, coast=0.0, towns=4, relief=60, forest=0.1)


def test_months_run_from_august_of_the_first_year_to_december_of_the_third():
    assert len(MONTHS) == 29
    assert (MONTHS[0], MONTHS[5], MONTHS[-1]) == (("A", 8), ("B", 1), ("C", 12))


def test_a_cleared_field_is_blank_and_stays_bare_in_summer(farmland, tmp_path):
    fusu(farmland, tmp_path, patches=3, edge=96, months=(("B", 6), ("C", 6)), around=16)
    data = read_fusu(tmp_path)
    crop, blank = data.classes.names.index("cropland"), data.classes.names.index("blank")
    lost, kept = [], []
    for scene in data:
        before, after = pair_of(scene.labels.read(scene.grid), 17)
        values, valid = scene.series["monthly"].read(scene.grid)
        red, infrared = values[:, 3], values[:, 7]
        green = np.where(valid, (infrared - red) / np.maximum(infrared + red, 1), np.nan)
        # the months of 10 m under the image of 48 m
        change = np.array([green[n, 61:67, 61:67] for n in range(2)])
        cleared = ((before == crop) & (after == blank))[::16, ::16]
        same = ((before == crop) & (after == crop))[::16, ::16]
        lost.append((change[0] - change[1])[cleared])
        kept.append((change[0] - change[1])[same])
    lost, kept = np.concatenate(lost), np.concatenate(kept)
    assert len(lost) > 10
    assert np.nanmedian(lost) > 0.3
    assert not len(kept) or np.nanmedian(np.abs(kept)) < 0.3


def test_a_world_without_room_says_so(farmland, tmp_path):
    with pytest.raises(ConfigError, match="too few cleared fields"):
        fusu(farmland, tmp_path, patches=9, edge=2000)
