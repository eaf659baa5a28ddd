"""The same plan on a cluster of two processes, of which one is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tiny
from scene_models import slow_identity
from swath.data.raster import open_raster
from swath.data.scenes import Scene
from swath.errors import ConfigError, RunError
from swath.scene import outputs
from swath.scene.apply import apply

TESTS = str(Path(__file__).parents[1])


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(*words):
    environment = {**os.environ, "PYTHONPATH": TESTS, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [sys.executable, "-m", *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and its two worker processes."""
    pytest.importorskip("distributed")
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    options = ["--no-dashboard", "--no-nanny", "--nthreads=1", f"--local-directory={tmp_path}"]
    scheduler = start("distributed.cli.dask_scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard")
    workers = [start("distributed.cli.dask_worker", address, *options) for _ in range(2)]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


@pytest.fixture
def scene(tmp_path):
    values = (np.random.default_rng(0).random((2, 6000, 200)) + 0.5).astype(np.float32)
    path = tiny.write_raster(tmp_path / "scene.tif", values, tiny.grid(6000, 200), tiled=True)
    return Scene("scene", {"image": open_raster(path)})


def applied(scene, path, **options):
    asked = [outputs.values(path, ("a", "b"), "1")]
    return apply(slow_identity, scene, asked, tile=128, progress=False, **options)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster, scene, tmp_path):
    address, workers = cluster
    done = tmp_path / ".there.tif.partial"

    def kill_one():
        end = time.monotonic() + 60
        while len(list(done.glob("0*.rows"))) < 4 and time.monotonic() < end:
            time.sleep(0.02)
        os.kill(workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    applied(scene, tmp_path / "there.tif", engine="dask", scheduler=address)
    killer.join()
    assert workers[0].wait() == -signal.SIGKILL
    applied(scene, tmp_path / "here.tif")
    assert (tmp_path / "there.tif").read_bytes() == (tmp_path / "here.tif").read_bytes()
    assert not done.exists()


def test_a_cluster_that_is_not_there_is_told(scene, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    with pytest.raises(ConfigError, match="scheduler"):
        applied(scene, tmp_path / "a.tif", engine="dask")
    monkeypatch.setattr("swath.scene.distributed._PATIENCE", "1s")
    with pytest.raises(RunError, match="cannot be reached"):
        applied(scene, tmp_path / "a.tif", engine="dask", scheduler=f"tcp://127.0.0.1:{free_port()}")
    assert not (tmp_path / "a.tif").exists()
