import numpy as np
import pytest

from swath.errors import DataError
from swath.metrics.area import adjusted_areas


def test_the_worked_example_of_the_paper() -> None:
    """Olofsson et al. 2014, tables 8 and 9: deforestation 21,158 ha +- 6,158 ha of 900,000 ha."""
    by_map = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    hectares = np.array([200_000, 150_000, 3_200_000, 6_450_000]) * 0.09
    areas, margins = adjusted_areas(by_map.T, hectares)
    assert areas[0] == pytest.approx(21_158, abs=1)
    assert margins[0] == pytest.approx(6_158, abs=2)
    assert areas.sum() == pytest.approx(900_000)


def test_a_perfect_sample_changes_nothing() -> None:
    areas, margins = adjusted_areas(np.diag([10, 20]), np.array([3.0, 7.0]))
    assert areas.tolist() == [3.0, 7.0]
    assert margins.tolist() == [0.0, 0.0]


def test_a_class_without_sample_counts_as_right() -> None:
    areas, _ = adjusted_areas(np.array([[8, 0], [2, 0]]), np.array([10.0, 5.0]))
    np.testing.assert_allclose(areas, [8.0, 7.0])


def test_an_empty_map_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be adjusted"):
        adjusted_areas(np.eye(2), np.zeros(2))
