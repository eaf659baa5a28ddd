"""Sequences: what is refused, groups stay whole, classes are shared, and units in two parts are found."""

from dataclasses import replace

import numpy as np
import pytest

from small_sequences import FEATURES, small_sequences
from swath.data.sequences import Sequences, shared_units, split_sequences, with_parts
from swath.errors import BandError, DataError
from swath.sensors.bands import Band, Bands


def test_groups_stay_whole_and_classes_are_shared():
    data = split_sequences(small_sequences(150), seed=3)
    for group in np.unique(data.groups):
        assert len(set(data.parts[data.groups == group])) == 1
    for label in range(3):
        shares = [(data.parts[data.labels == label] == part).mean() for part in ("train", "val", "test")]
        assert np.abs(np.array(shares) - (0.6, 0.2, 0.2)).max() < 0.1
    assert sum(data.facts["units by part"].values()) == 150


def test_units_of_the_same_numbers_in_two_parts_are_counted():
    data = split_sequences(replace(small_sequences(30), groups=None))
    assert shared_units(data) == {}
    values = data.values.copy()
    test, train = (np.flatnonzero(data.parts == part) for part in ("test", "train"))
    values[test[:2]] = values[train[:2]]
    assert shared_units(replace(data, values=values)) == {"train and test": 2}


def test_a_part_holds_what_was_seen_and_has_a_class():
    data = small_sequences(12)
    data.values[0] = np.nan
    labels = data.labels.copy()
    labels[1] = -1
    parts = np.array(["train"] * 6 + ["test"] * 6)
    data = with_parts(replace(data, labels=labels), parts, "by hand")
    assert data.of_part("train").ids.tolist() == ["u2", "u3", "u4", "u5"]
    with pytest.raises(DataError, match="No unit"):
        data.of_part("val")
    with pytest.raises(DataError, match="in no part"):
        replace(data, parts=None).of_part("train")
    with pytest.raises(DataError, match="no classes"):
        replace(data, labels=None).of_part("train")


def test_features_are_found_by_name():
    data = small_sequences(6)
    turned = data.with_features(Bands("small", (FEATURES[1], FEATURES[0])))
    np.testing.assert_array_equal(turned.values[..., 0], data.values[..., 1])
    with pytest.raises(BandError, match="no band 'evi'"):
        data.with_features(Bands("small", (Band("evi", "1"),)))


def test_what_does_not_fit_is_refused():
    data = small_sequences(6)
    with pytest.raises(DataError, match="same id"):
        replace(data, ids=np.array(["a", "a", "b", "c", "d", "e"]))
    with pytest.raises(DataError, match="other numbers of units"):
        replace(data, labels=data.labels[:3])
    with pytest.raises(DataError, match="no sequences"):
        Sequences(np.array(["a"]), np.zeros((1, 3, 1), np.float32), FEATURES)
