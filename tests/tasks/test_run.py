from pathlib import Path

import pytest

from swath.errors import RunError
from swath.tasks.run import Run
from swath.tasks.task import Task


def test_description_round_trip_with_versions(tmp_path: Path) -> None:
    Run(tmp_path).write_description({"kind": "x", "n": [1, 2]})
    assert Run(tmp_path).description == {"kind": "x", "n": [1, 2]}
    assert '"torch"' in (tmp_path / "versions.json").read_text()


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run: expected a folder that `swath fit` wrote"):
        Task.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1"])
def test_a_damaged_description(tmp_path: Path, text: str) -> None:
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(RunError, match=r"task.json is damaged"):
        Task.load(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[]", '{"system": {"id": 1}}'])
def test_a_description_without_a_system(tmp_path: Path, text: str) -> None:
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(RunError):
        Task.load(tmp_path)
