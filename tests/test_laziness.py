"""Start-up is quick because nothing heavy is loaded: judged by loaded modules, not by seconds."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "lightning",
    "sklearn",
    "matplotlib",
    "rasterio",
    "geopandas",
    "pandas",
    "numpy",
    "scipy",
    "jsonargparse",
)


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_nothing_heavy() -> None:
    assert not loaded("import swath") & set(HEAVY)


@pytest.mark.parametrize("words", [["--help"], ["systems"], ["systems", "--json"], ["predict", "--help"]])
def test_commands_that_only_tell_load_no_array_library(words: list[str]) -> None:
    code = f"from swath.cli import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass"
    assert not loaded(code) & set(HEAVY)
