"""Tables of cities: reading, finding by name and place, and what is wrong with a table."""

import pytest

from swath.data.city_table import NEAR, City, CityTable, city_key, read_cities
from swath.errors import DataError, ReadError

HEAD = "City,Roof Materials,Continent,Country,Latitude,Longitude\n"
TILES = "\"[{'class': 'ClayTiles', 'examples': ['a']}, {'class': 'Thatch', 'examples': []}, {'class': 'ClayTiles'}]\""


def write(tmp_path, *lines, head=HEAD, encoding="utf-8"):
    path = tmp_path / "cities.csv"
    path.write_bytes((head + "\n".join(lines) + "\n").encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_published_layout_in_both_encodings(tmp_path, encoding):
    table = read_cities(write(tmp_path, f'"São Rif, Sudria",{TILES},South,Sudria ,-10.5,-20.25', encoding=encoding))
    (city,) = table.cities
    assert city == City("São Rif, Sudria", ("ClayTiles", "Thatch"), "South", "Sudria", -20.25, -10.5)
    assert city.key == "são_rif_sudria"


def table(*names):
    places = {"New Dun, Westmark": (0.0, 0.0), "Dun, Westmark": (1.0, 0.0), "Dun, Sudria": (40.0, 10.0)}
    return CityTable([City(n, ("Thatch",), "", "", *places[n]) for n in names or places])


def test_cities_of_several_words_are_found_by_key_and_by_words():
    for name in ("new_dun_westmark", "New Dun, Westmark", "new dun westmark", "New Dun"):
        assert table().find(name).name == "New Dun, Westmark"
    assert table().find("Dun") is None  # two cities have the name
    assert table().find("Elsewhere") is None
    assert table().find("") is None


def test_the_released_validator_finds_no_city_of_several_words():
    """The defect: blanks on one side, underscores on the other, so that nothing of such a city was ever checked."""
    theirs = {city_key(city.name) for city in table().cities}
    asked = "new_dun_westmark".replace("_", " ").lower().strip()  # as the release turns a file name into a key
    assert asked not in theirs
    assert table().find(asked) is not None


def test_the_nearest_city_within_150_miles_counts_else_the_name():
    found = table()
    assert found.of("Dun, Sudria", 0.4, 0.0).name == "New Dun, Westmark"
    degree = 2 * 3.14159265 * 6371.0088 / 360 / 1.609344  # miles
    near, far = (NEAR - 1) / degree, (NEAR + 1) / degree
    assert found.of("", 40.0, 10.0 + near).name == "Dun, Sudria"
    assert found.of("", 40.0, 10.0 + far) is None
    assert found.of("New Dun", 40.0, 10.0 + far).name == "New Dun, Westmark"
    assert found.of("New Dun").name == "New Dun, Westmark"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"Dun,{TILES},,,95,0", "no place on Earth"),
        (f"Dun,{TILES},,,north,0", "no place on Earth"),
        ("Dun,ClayTiles,,,5,0", "no list of materials"),
        ("Dun,[],,,5,0", "names no material"),
        ('Dun,"[{1: 2}]",,,5,0', "no list of materials"),
        ("Dun,\"__import__('os').system('true')\",,,5,0", "no list of materials"),
        ("Dun," + "[" * 3000 + ",,,5,0", "no list of materials"),
        (f"Dun,{TILES},,,5,0\nDUN,{TILES},,,6,0", "or one twice"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(tmp_path, line, message):
    with pytest.raises(DataError, match=message):
        read_cities(write(tmp_path, line))


def test_a_table_that_is_none(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        read_cities(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="lacks columns"):
        read_cities(write(tmp_path, "Dun", head="Town\n"))
