"""Buildings of Dubai are the buildings of the whole legend."""

import numpy as np
import pytest

from swath.data.classes import IGNORE
from swath.data.readers import read_layout


@pytest.mark.data
def test_buildings_are_those_of_the_whole_legend(data_folder):
    folder = data_folder / "dubai_landcover_seg"
    every, built = read_layout("dubai", folder)[0], read_layout("dubai_buildings", folder)[0]
    assert every.id == built.id
    labels, found = every.labels.read(every.grid), built.labels.read(built.grid)
    assert np.array_equal(found == 1, labels == 0)
    assert np.array_equal(found == IGNORE, labels == IGNORE)
