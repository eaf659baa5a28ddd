import numpy as np
import pytest

from swath.data.classes import IGNORE, Classes
from swath.errors import ConfigError, DataError


def test_codes_and_indices_by_hand() -> None:
    classes = Classes.of({10: "forest", 3: {"name": "water", "colour": "#0000ff"}}, ignored=[0, 255])
    codes = np.array([[10, 3], [0, 255]], np.uint8)
    assert classes.to_index(codes).tolist() == [[0, 1], [IGNORE, IGNORE]]
    assert classes.colours[1] == (0, 0, 255)
    assert classes.to_code(np.array([0, 1, IGNORE]), nodata=255).tolist() == [10, 3, 255]
    assert classes.to_code(np.array([0]), nodata=255).dtype == np.uint8


def test_strange_codes_are_named_and_counted() -> None:
    with pytest.raises(DataError, match=r"mask.tif holds values outside.*7 \(2 pixels\), 9 \(1 pixels\)"):
        Classes.of(["a", "b"]).to_index(np.array([0, 7, 7, 9]), "mask.tif")


def test_mapping_round_trip() -> None:
    classes = Classes.of({1: "a", 7: "b", 2: "c"})
    assert Classes.of(classes.to_dict()) == classes


def test_a_count_names_the_classes() -> None:
    assert Classes.of(3).names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("described", "ignored"), [({}, ()), (["a", "a"], ()), ({1: "a"}, (1,)), ({1: {"name": "a", "colour": "red"}}, ())]
)
def test_bad_legends_are_refused(described: object, ignored: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        Classes.of(described, ignored)  # type: ignore[arg-type]


def test_colours_of_many_classes_differ() -> None:
    assert len(set(Classes.of(40).colours)) == 40
