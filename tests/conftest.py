"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

_DATA = Path(os.environ.get("SWATH_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of shared real data; the test is skipped where it is absent."""
    if not _DATA.is_dir():
        pytest.skip("the shared real data folder is absent; set SWATH_DATA to its path")
    return _DATA
