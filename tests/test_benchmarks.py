"""The benchmarks: ratios and bars from made-up trials, and one part that really runs."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return pytest.importorskip("benchmarks.results")


def kept(**contestants):
    """Trials as JSON: for each contestant (seconds, processor seconds) of runs of ten units."""
    return {
        name.replace("_", " "): {
            "failure": "" if runs else "it is not there",
            "runs": [{"units": 10, "seconds": s, "processor": p, "others": 0.0, "notes": {}} for s, p in runs],
        }
        for name, runs in contestants.items()
    }


def test_ratios_pair_the_runs_of_a_repeat_and_take_the_best_setting(results):
    trials = kept(
        **{"swath, block order, 1 thread": [(2, 2), (4, 4), (2, 2)], "swath, block order, 2 threads": [(1, 3)] * 3},
        torchgeo_0=[(10, 10), (12, 12), (8, 8)],
        torchgeo_2=[(20, 40)] * 3,
    )
    (bar,) = results.bars({"sampling": results.trials_of({"two, deflate": trials})})
    # by the clock two threads are best: 10/1, 12/1, 8/1; by processor one thread is: 10/2, 12/4, 8/2
    assert (bar.clock.median, bar.clock.least, bar.clock.largest) == pytest.approx((10, 8, 12))
    assert bar.processor.median == pytest.approx(4)
    assert bar.met
    assert bar.limit == 5


def test_a_bar_that_is_not_met_says_so(results):
    trials = kept(**{"bare": [(10, 10)], "swath, fp32": [(11, 10)], "swath, auto": []})
    bars = results.bars({"scenes": results.trials_of({"1 x 1": trials})})
    assert [(bar.clock.median, bar.met) for bar in bars] == [(1.1, False)]
    assert bars[0].row()[-1] == "**no**"


def test_what_could_not_run_stands_in_the_table(results):
    works = results.trials_of({"1 x 1": kept(terratorch=[])})
    assert results.details(works, "s") == [["1 x 1", "terratorch", "could not run: it is not there", "", "", "", ""]]


def test_only_the_block_between_the_marks_of_a_page_changes(results, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{results.BEGIN}\nold \\1\n{results.END}\nbelow\n")
    results.into_page(page, "new \\1 text")
    assert page.read_text() == f"above\n{results.BEGIN}\nnew \\1 text\n{results.END}\nbelow\n"
    with pytest.raises(ValueError, match="no marks"):
        results.into_page(Path(__file__).parent / "conftest.py", "x")


@pytest.mark.slow
def test_the_command_measures_and_writes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- benchmarks: begin -->\n<!-- benchmarks: end -->\n")
    command = ["-m", "benchmarks", "--output", tmp_path / "out", "--quick", "--only", "memory", "--page", page]
    subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True, capture_output=True)
    found = json.loads((tmp_path / "out" / "results.json").read_text())["memory"]["trials"]["tall"]
    assert list(found) == ["256 x 1024", "1024 x 1024", "4096 x 1024"]
    # tiles of 256 px every 192 px: 1024 px need ceil((1024 - 64) / 192) = 5, 4096 px 21
    assert [run["units"] for trials in found.values() for run in trials["runs"]] == [5 * n for n in (1, 5, 21)]
    rows = list(csv.reader((tmp_path / "out" / "memory.csv").read_text().splitlines()))
    assert [row[1] for row in rows[1:]] == list(found)
    assert "MB over the base, scene of 4096 x 1024" in page.read_text()
