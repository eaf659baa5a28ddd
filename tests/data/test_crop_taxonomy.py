"""Crops of the FAO's classification."""

import pytest

from swath.data.crop_taxonomy import CROPS, group_of
from swath.errors import DataError


def test_codes_are_the_published():
    assert len(CROPS) == 168
    assert (CROPS[110], CROPS[435], CROPS[998]) == ("Wheat", "Rapeseed", "Unknown crops")
    assert len(set(CROPS.values())) == 168
    assert list(CROPS) == sorted(CROPS)


def test_a_crop_stands_in_its_group():
    assert CROPS[group_of(110)] == "Cereals"
    assert CROPS[group_of(770)] == "Leguminous crops"
    with pytest.raises(DataError, match="no such crop"):
        group_of(111)
