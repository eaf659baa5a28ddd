"""Jobs: they run, fail, end, go on, and outlive the server that started them as something to go on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rio_tiler", reason="the extra `studio` is not installed")

import imagecodecs
import yaml

import tiny
from swath.errors import RunError, UnknownNameError
from swath.studio.jobs import Jobs
from swath.studio.progress import picture_so_far, progress

#: A command that ends by itself only after a long time.
LONG = ("studio", "--no-browser", "--port", "0")


def wait(jobs, id_, *states, seconds=60):
    end = time.monotonic() + seconds
    while (job := jobs.get(id_)).state not in states and time.monotonic() < end:
        time.sleep(0.05)
    assert job.state in states, (job, jobs.log(id_))
    return job


@pytest.fixture
def jobs(tmp_path):
    made = Jobs(tmp_path / "jobs")
    yield made
    made.close()


def start(jobs, words, name="out"):
    id_, _ = jobs.new_folder()
    return jobs.start(words, "a job", jobs.folder / name, id_).id


def test_a_job_is_done_and_its_log_kept(jobs):
    id_ = start(jobs, ("systems", "--built"))
    job = wait(jobs, id_, "done", "failed")
    assert job.state == "done"
    assert "bhutan_rice" in jobs.log(id_)
    assert jobs.shown(job)["command"] == "swath systems --built"
    assert Jobs(jobs.folder).get(id_).state == "done"  # another server knows it


def test_a_job_that_fails_says_what_the_command_line_says(jobs):
    id_ = start(jobs, ("info", "nothing_of_this_name"))
    error = wait(jobs, id_, "done", "failed").error
    shell = subprocess.run(
        [sys.executable, "-m", "swath", "info", "nothing_of_this_name"], capture_output=True, text=True, check=False
    )
    assert shell.stderr.strip() == f"swath: {error}"


def test_a_job_is_cancelled_and_one_that_waits_too(jobs):
    running, waiting = start(jobs, LONG), start(jobs, ("systems",), "other")
    with pytest.raises(RunError, match="cannot be queued"):
        start(jobs, ("systems",), "other")  # the same output twice
    wait(jobs, running, "running")
    assert jobs.cancel(waiting).state == "cancelled"
    jobs.cancel(running)
    wait(jobs, running, "cancelled")
    assert jobs.resume(waiting).state == "queued"
    wait(jobs, waiting, "done")
    with pytest.raises(RunError, match="cannot go on"):
        jobs.resume(waiting)
    with pytest.raises(UnknownNameError):
        jobs.get("nothing")


#: Starts a job, and tells of it when it has said a word or made a file.
SERVER = """
import sys, time
from pathlib import Path
from swath.studio.jobs import Jobs
jobs, mark = Jobs(Path(sys.argv[1])), sys.argv[2]
id_, _ = jobs.new_folder()
jobs.start(sys.argv[3:], "a job", Path(sys.argv[1]) / "out", id_)
while jobs.get(id_).state in ("queued", "running") and not (Path(mark).is_file() or mark in jobs.log(id_)):
    time.sleep(0.05)
print(id_, jobs._process[1].pid, flush=True)
time.sleep(100)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_killed_server_takes_its_job_along_and_leaves_it_to_go_on(tmp_path):
    id_ = _kill_under(tmp_path, "Studio", LONG)
    again = Jobs(tmp_path)
    assert again.get(id_).state == "interrupted"
    again.resume(id_)
    wait(again, id_, "running")
    again.close()
    assert again.get(id_).state == "interrupted"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_fit_under_a_killed_server_goes_on_at_its_epoch(tmp_path):
    grid = tiny.grid(64, 64, tiny.UTM33, 10.0)
    values = tiny.smooth(64, 64, bands=2)
    tiny.write_raster(tmp_path / "scene.tif", values, grid, names=("a", "b"))
    tiny.write_raster(tmp_path / "truth.tif", 1 + (values[0] > 0.5).astype(np.uint8), grid)
    description = {
        "layers": {"image": {"files": "scene.tif", "sensor": "custom", "bands": ["a", "b"], "unit": "dn"}},
        "labels": {"files": "truth.tif"}, "classes": {1: "low", 2: "high"},
        "split": {"by": "block", "size": 160, "fractions": [0.6, 0.2, 0.2], "seed": 0},
    }  # fmt: skip
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(description))
    run = tmp_path / "run"
    options = ["--epochs=1000", "--patch=16", "--batch=8", "--samples=16", "--patience=1000", "--accelerator=cpu"]
    words = ["fit", "bhutan_rice", str(tmp_path / "data.yaml"), "-o", str(run), *options]
    id_ = _kill_under(tmp_path / "jobs", str(run / "last.ckpt"), words)
    before = _epochs(run)
    again = Jobs(tmp_path / "jobs")
    assert again.get(id_).state == "interrupted"
    again.resume(id_)
    end = time.monotonic() + 120
    while len(_epochs(run)) < len(before) + 2 and time.monotonic() < end:
        time.sleep(0.1)
    again.cancel(id_)
    wait(again, id_, "cancelled")
    again.close()
    epochs = _epochs(run)
    assert len(epochs) > len(before) > 0
    assert epochs == list(range(len(epochs)))  # none was trained twice, none left out


def _epochs(run):
    path = run / "metrics.csv"
    rows = csv.DictReader(path.read_text().splitlines()) if path.is_file() else []
    return [int(row["epoch"]) for row in rows]


def _kill_under(folder, mark, words):
    """Kill a server under the job that it started; returns the job's id once its process is gone."""
    command = [sys.executable, "-c", SERVER, str(folder), mark, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        id_, pid = server.stdout.readline().split()
        server.send_signal(signal.SIGKILL)
    end = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(pid)
    return id_


def _runs(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_damaged_memory_of_a_job_is_left_out(tmp_path, caplog):
    (tmp_path / "20230101T000000-00000000").mkdir()
    (tmp_path / "20230101T000000-00000000" / "job.json").write_text("{")
    assert Jobs(tmp_path).all() == []
    assert "damaged" in caplog.text


def test_progress_and_picture_of_an_unfinished_map(tmp_path):
    output = tmp_path / "map.tif"
    facts = {"shape": [600, 40], "legend": [{"code": 3, "colour": "#c81e28"}]}
    assert progress("predict", output, facts) == (0, 3)
    folder = tmp_path / ".map.tif.partial"
    folder.mkdir()
    rows = np.full((256, 40), 3, np.uint8)
    rows[:, :10] = 255
    packed = imagecodecs.zstd_encode(rows.tobytes())
    head = json.dumps({"valid": True, "skipped": [], "sizes": [len(packed)]}).encode()
    (folder / "00000256.rows").write_bytes(head + b"\n" + packed)
    assert progress("predict", output, facts) == (1, 3)
    picture = imagecodecs.png_decode(picture_so_far(output, facts))
    assert picture.shape == (600, 40, 4)
    assert (picture[256:512, 10:] == (200, 30, 40, 255)).all()
    assert (picture[:256, :, 3] == 0).all()
    assert (picture[256:512, :10, 3] == 0).all()
    (tmp_path / "metrics.csv").write_text("epoch,train_loss\n0,1\n1,0.5\n")
    assert progress("fit", tmp_path, {"epochs": 5}) == (2, 5)
    assert progress("fit", tmp_path / "none", {"epochs": 5}) == (0, 5)
