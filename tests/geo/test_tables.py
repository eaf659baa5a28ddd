"""Tables in the format of their suffix."""

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import Point

from swath.errors import ConfigError
from swath.geo.tables import write_table

ROWS = pd.DataFrame({"name": ["a", "b"], "value": [1.5, 2.5]})


@pytest.mark.parametrize(
    ("suffix", "read"), [(".csv", pd.read_csv), (".json", pd.read_json), (".parquet", pd.read_parquet)]
)
def test_what_was_written_is_read(tmp_path, suffix, read):
    path = tmp_path / f"table{suffix}"
    write_table(ROWS, path)
    pd.testing.assert_frame_equal(read(path), ROWS)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".csv"])
def test_geometries_are_kept_where_the_format_has_them(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    write_table(gpd.GeoDataFrame(ROWS, geometry=[Point(1, 2), Point(3, 4)], crs="EPSG:4326"), path)
    if suffix == ".csv":
        pd.testing.assert_frame_equal(pd.read_csv(path), ROWS)
    else:
        assert [point.x for point in gpd.read_file(path).geometry] == [1, 3]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot tell the format of .*table\.xlsx"):
        write_table(ROWS, tmp_path / "table.xlsx")
