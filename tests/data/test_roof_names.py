"""File names of RoofNet: every documented form, negative places, and what the release makes of them."""

import pytest

from swath.data.city_table import City, CityTable
from swath.data.roof_names import RoofName, city_as_released, parse_roof_name

TABLE = CityTable(
    [
        City("Pont-le-Roc, Sudria", ("Thatch",), "", "", 58.559, 23.614),
        City("Pont, Sudria", ("Thatch",), "", "", 0.0, 0.0),
    ]
)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        (
            "new_york_united_states_height12.5_numstories3_roofshapeGabled_fpArea210.3",
            RoofName("new_york_united_states", None, None, 12.5, 3, "Gabled", 210.3),
        ),
        (
            "Miami_heightNA_numstoriesNA_roofshapeNA_fpAreaNA_imsat_25.7616798-80.1917902_17",
            RoofName("miami", -80.1917902, 25.7616798),
        ),
        ("lima_peru_imsat_-12.0558502-77.0688032", RoofName("lima_peru", -77.0688032, -12.0558502)),
        ("muscat_oman_imsat_23.613971358.5590988_2", RoofName("muscat_oman", 58.5590988, 23.6139713)),
        ("suva_imsat_-18.1415850178.4421570", RoofName("suva", 178.442157, -18.141585)),
        ("santa-rosa_wildfire_00000123", RoofName("santa")),
        ("new_heights_imsat_1.00000002.0000000", RoofName("new_heights", 2.0, 1.0)),
        ("heightington_height3", RoofName("heightington", height=3)),
        ("kyoto_height2_fpAreaabc", RoofName("kyoto", height=2)),
        ("plain", RoofName()),
        ("oslo_imsat_north", RoofName("oslo")),
        ("oslo_imsat", RoofName("")),
        ("oslo_imsat_95.0000000-10.0", RoofName("oslo")),
        ("oslo_heightinf_numstories2", RoofName("oslo_heightinf", numstories=2)),
    ],
)
def test_names_are_parsed(stem, expected):
    assert parse_roof_name(stem) == expected


def test_seven_decimals_of_a_latitude_are_tried_before_eight():
    assert parse_roof_name("a_imsat_23.6139713458.5590988").latitude == 23.61397134  # 458 degrees there are not
    assert parse_roof_name("a_imsat_23.613971358.5590988").latitude == 23.6139713


def test_a_known_city_settles_where_a_latitude_ends():
    name = "pont-le-roc_sudria_imsat_23.61397158.559098"  # six decimals, then 58.56
    assert parse_roof_name(name).longitude == pytest.approx(8.559098)
    assert parse_roof_name(name, TABLE).longitude == pytest.approx(58.559098)


def test_a_known_city_may_have_a_hyphen():
    assert parse_roof_name("Pont-le-Roc_Sudria-0001", TABLE).city == "pont-le-roc_sudria"
    assert parse_roof_name("Pont-le-Roc_Sudria-0001").city == "pont"


def test_the_release_takes_coordinates_for_the_city():
    stem = "miami_height6_imsat_25.7616798-80.1917902"
    assert city_as_released(stem) == "Miami Height6 Imsat 25.7616798"
    assert parse_roof_name(stem).city == "miami"
    assert city_as_released("muscat_oman_imsat_23.613971358.5590988") == "Muscat Oman"
    assert city_as_released("plain") == ""
