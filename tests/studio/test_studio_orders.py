"""From clicks to command lines: systems of every kind, their products and options."""

import json
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("rio_tiler", reason="the extra `studio` is not installed")

from swath.errors import ConfigError, InputError, ReadError
from swath.studio import orders
from swath.studio.jobs import Job, _written
from swath.studio.requests import FitRequest, PredictRequest, ScoreRequest
from swath.studio.roots import Roots


class Noted:
    """Jobs that are noted, not run."""

    def __init__(self, folder):
        self.folder = folder

    def new_folder(self):
        self.folder.mkdir(exist_ok=True)
        return "id", self.folder

    def start(self, words, title, output, id_, **facts):
        return SimpleNamespace(words=list(words), title=title, output=output, facts=facts)


@pytest.fixture
def roots(served):
    (served / "later").mkdir()
    yield Roots([served])
    shutil.rmtree(served / "later")


def write_run(served, name, system, kind):
    folder = served / "later" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.json").write_text(json.dumps({"kind": kind, "system": {"id": system, "options": {}}}))
    return f"place/later/{name}"


def predict(roots, tmp_path, **order):
    return orders.predict(PredictRequest(**order), roots, Noted(tmp_path / "job"))


@pytest.mark.parametrize(
    ("system", "usual"),
    [
        ("bhutan_rice", ".tif"), ("sen4agrinet", ".tif"), ("fusu", ".tif"), ("methane_onboard", ".tif"),
        ("oam_tcd:instances", ".gpkg"), ("floodnet:vqa", ".csv"), ("imghet", ".csv"), ("euclid_mer", ".fits"),
    ],
)  # fmt: skip
def test_products_have_the_suffix_of_their_task(system, usual):
    assert orders.suffixes(system)[0] == usual


def test_things_are_found_on_a_box(roots, served, tmp_path):
    run = write_run(served, "tracks", "cloudtracks:instances", "instances")
    scene = {"run": run, "scene": ["place/picture.png"], "products": ["objects", "count"]}
    made = predict(roots, tmp_path, output="place/later/things.gpkg", options={"least_score": "0.4"}, **scene)
    assert made.words == [
        "predict", str(served / "later" / "tracks"), str(served / "picture.png"), "--crs=none",
        "-o", str(served / "later" / "things.gpkg"), "--products", "objects", "count", "--least-score=0.4",
    ]  # fmt: skip
    assert "shape" not in made.facts  # nothing can be counted while it runs
    with pytest.raises(InputError, match="Nothing can be written"):
        predict(roots, tmp_path, output="place/later/things.tif", **scene)
    with pytest.raises(ConfigError, match="no such product"):
        predict(roots, tmp_path, **{**scene, "products": ["classes"]}, output="place/later/things.gpkg")


def test_a_scene_of_a_description_is_mapped(roots, served, tmp_path):
    run = write_run(served, "change", "fusu", "land use change")
    (served / "later" / "data.yaml").write_text("name: some")
    source = {"run": run, "source": "place/later/data.yaml", "output": "place/later/change.tif"}
    made = predict(roots, tmp_path, part="north", **source)
    assert made.words[2] == f"{served / 'later' / 'data.yaml'}:north"
    for wrong in ({"box": (0, 0, 1, 1)}, {"scene": ["place/first.tif"]}, {"source": "place/truth.gpkg"}):
        with pytest.raises(ConfigError):
            predict(roots, tmp_path, **{**source, **wrong})


def test_a_system_that_needs_no_training_is_applied_by_its_name(roots, served, tmp_path):
    (served / "later" / "cube.nc").write_bytes(b"")
    order = {"source": "place/later/cube.nc", "output": "place/later/gas.tif", "products": ["mask"]}
    made = predict(roots, tmp_path, system="methane_onboard", options={"method": "mag1c"}, **order)
    assert made.words[:3] == ["predict", "methane_onboard", str(served / "later" / "cube.nc")]
    assert made.words[-3:] == ["--products", "mask", "--method=mag1c"]
    with pytest.raises(ConfigError, match="missing"):
        predict(roots, tmp_path, **order)


def test_a_virtual_raster_is_no_scene_even_behind_others(roots, served, tmp_path):
    scene = ["place/first.tif", "place/virtual.tif"]
    with pytest.raises(ReadError):
        predict(roots, tmp_path, run="place/runs/old", scene=scene, output="place/later/map.tif")


def test_fits_take_options_of_their_own_task_and_served_files(roots, served, tmp_path):
    (served / "later" / "data.yaml").write_text("name: some")
    (served / "later" / "start.pth").write_bytes(b"")

    def fit(**order):
        order = {"data": "place/later/data.yaml", "output": "place/later/run", **order}
        return orders.fit(FitRequest(**order), roots, Noted(tmp_path / "job"))

    made = fit(system="cloudtracks:instances", options={"epochs": "3"}, files={"weights": "place/later/start.pth"})
    assert made.words[:2] == ["fit", "cloudtracks:instances"]
    assert made.words[-2:] == ["--epochs=3", f"--weights={served / 'later' / 'start.pth'}"]
    assert made.facts["epochs"] == 3
    effects = fit(system="imghet", options={"epochs": "3", "draws": "5"})
    assert effects.words[-2:] == ["--draws=5", "--epochs=3"]
    assert effects.facts["epochs"] is None  # it keeps no history that could be counted
    with pytest.raises(ConfigError, match="no such option"):
        fit(system="imghet", options={"patch": "64"})
    with pytest.raises(ConfigError, match="no such option"):
        fit(system="cloudtracks", options={"weights": "start.pth"})
    with pytest.raises(ReadError):
        fit(system="cloudtracks", files={"weights": "place/../elsewhere/secret.tif"})


def test_a_run_is_scored(roots, served, tmp_path):
    order = ScoreRequest(run="place/runs/old", data="place/bad.yaml")
    made = orders.score(order, roots, Noted(tmp_path / "job"))
    assert made.words == ["score", str(served / "runs" / "old"), str(served / "bad.yaml")]


def test_products_are_the_files_that_the_command_named_last(roots, served, tmp_path):
    log = tmp_path / "log.txt"
    first, vectors = served / "first.tif", served / "truth.gpkg"
    log.write_text(f"{first}\nwarning: slow\n{first}\n{vectors}\n")
    written = _written(log)
    assert written == [str(first), str(vectors)]
    job = Job("id", ("predict",), "a job", str(first), facts={"written": [*written, str(log), "/nothing"]})
    assert orders.products(job, roots) == [
        {"path": "place/first.tif", "kind": "raster"}, {"path": "place/truth.gpkg", "kind": "vector"},
    ]  # fmt: skip
