"""Small worlds that many tests look at."""

import pytest

from swath.simulate import moment
from swath.simulate.world import World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    """A world of 3 km with sea, river, towns, fields and woods."""
    return make_world(seed=3, width=3000, height=3000, towns=25)


@pytest.fixture(scope="session")
def summer(world):
    """Late June, half past ten by the sun."""
    return moment.at(world, 172)
