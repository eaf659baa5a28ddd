import pytest

from swath.errors import ConfigError
from swath.tasks.recipe import Recipe


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"batch": -1}, {"patch": 0}, {"samples": 0}, {"patience": 0}, {"learning_rate": 0}]
)
def test_values_that_cannot_train_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        Recipe(**change)
