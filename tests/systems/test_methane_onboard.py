"""Methane on board, end to end from the command line: a published layout and a user's own cube."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from gas_cubes import TinyCube, tiny_cube, with_colours, write_envi, write_table
from swath import registry
from swath.cli import main
from swath.data.cubes import open_cube
from swath.errors import ConfigError, DataError, ReadError
from swath.geo.cog import problems
from swath.spectral.absorption import absorption_of
from swath.spectral.plumes import KG_PER_PPM_M
from swath.tasks.task import Task

PLACE = {"crs": "EPSG:32613", "transform": rasterio.Affine(20, 0, 5e5, 0, -20, 4e6)}


def write_label(path: Path, cube: TinyCube) -> None:
    shape = dict(zip(("height", "width"), cube.column.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", **shape, **PLACE) as file:
        file.write((cube.column > 300).astype(np.uint8), 1)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scenes as STARCOP has them: two with a file a band, two as cubes; and the table of the gas."""
    root = tmp_path_factory.mktemp("starcop")
    for number, part in enumerate(("train", "train", "test", "test")):
        cube = tiny_cube(96, 96, 60, strength=4000 - 500 * number, seed=number)
        name = f"ang2019_t{number}_r0"
        folder = root / name
        folder.mkdir()
        radiance, wavelengths = with_colours(cube, number)
        if number % 2:
            write_envi(folder / "cube.img", radiance, wavelengths)
        else:
            for nm, plane in zip(wavelengths, radiance.astype(np.float32), strict=True):
                path = folder / f"TOA_AVIRIS_{nm:.3f}nm.tif"
                with rasterio.open(
                    path, "w", driver="GTiff", height=96, width=96, count=1, dtype="float32", **PLACE
                ) as file:
                    file.write(plane, 1)
        write_label(folder / "labelbinary.tif", cube)
        with (root / f"{part}.csv").open("a") as file:
            file.write(f"{'' if number % 2 else 'id,has_plume' + chr(10)}{name},1\n")
    write_table(root / "gas.csv", cube)
    return root


def test_fit_predict_score_from_the_command_line(layout, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["--absorption", str(layout / "gas.csv"), "--method", "mag1c", "--bands_used", "40"]
    assert main(["fit", "methane_onboard", str(layout), "-o", str(run), *words]) == 0
    threshold = json.loads((run / "task.json").read_text())["threshold"]
    assert 0 < threshold < 4000
    capsys.readouterr()
    assert main(["score", str(run), str(layout), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    system, rival = scores["system"], scores["baselines"]["band ratio"]
    assert system["auprc"]["value"] > rival["auprc"]["value"] + 0.2
    assert system["f1"]["low"] > rival["f1"]["high"]
    assert system["auprc"]["low"] <= system["auprc"]["value"] <= system["auprc"]["high"]
    output = tmp_path / "map.tif"
    cube = layout / "ang2019_t3_r0" / "cube.img"
    assert main(["predict", str(run), str(cube), "-o", str(output), "--json"]) == 0
    written = [Path(path) for path in json.loads(capsys.readouterr().out)]
    names = ["map.tif", "map-mask.tif", "map-plumes.gpkg", "map-plumes.csv", "map.png"]
    assert [path.name for path in written] == names
    check_products(tmp_path, tiny_cube(96, 96, 60, strength=2500, seed=3).column)


def check_products(folder: Path, column: np.ndarray) -> None:
    """The map is a placed COG in ppm m near the truth, and the plume weighs what it should."""
    for name in ("map.tif", "map-mask.tif"):
        assert problems(folder / name) == []
        item = json.loads((folder / f"{name}.stac.json").read_text())
        assert item["properties"]["swath:provenance"]["system"] == "methane_onboard"
    with rasterio.open(folder / "map.tif") as file:
        found = file.read(1)
        assert (file.crs.to_epsg(), file.transform) == (32613, PLACE["transform"])
        assert file.descriptions == ("enhancement",)
        assert file.tags()["unit"] == "ppm m"
    assert np.corrcoef(found.ravel(), column.ravel())[0, 1] > 0.65
    table = gpd.read_file(folder / "map-plumes.gpkg")
    mass = KG_PER_PPM_M * 400 * column.sum()
    assert 0.3 * mass < table["mass_kg"].sum() < 1.2 * mass  # a mask leaves out the thin rim
    assert (folder / "map.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_network_on_the_product_of_a_filter(layout, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["--absorption", str(layout / "gas.csv"), "--method", "mag1c", "--bands_used", "40"]
    words += ["--epochs", "12", "--patch", "64", "--batch", "4", "--samples", "24", "--learning_rate", "0.003"]
    assert main(["fit", "methane_onboard:network", str(layout), "-o", str(run), *words]) == 0
    capsys.readouterr()
    assert main(["score", str(run), str(layout), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores["baselines"]) == {"majority", "nearest centroid", "random forest"}
    assert scores["system"]["miou"]["value"] > scores["baselines"]["majority"]["miou"]["high"]
    output = tmp_path / "map.tif"
    assert main(["predict", str(run), str(layout / "ang2019_t3_r0" / "cube.img"), "-o", str(output), "--json"]) == 0
    names = ["map.tif", "map-mask.tif", "map-plumes.gpkg", "map-plumes.csv", "map.png"]
    assert [Path(path).name for path in json.loads(capsys.readouterr().out)] == names
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with rasterio.open(tmp_path / "map-mask.tif") as file:
        found = file.read(1) == 1
    plume = tiny_cube(96, 96, 60, strength=2500, seed=3).column > 300
    assert (found & plume).sum() / (found | plume).sum() > 0.5


def test_the_trained_network_by_its_name(layout, tmp_path, capsys):
    pytest.importorskip("onboard_methane_detection")
    pytest.importorskip("onnxruntime")
    words = ["--absorption", str(layout / "gas.csv"), "--method", "mag1c", "--bands_used", "40"]
    cube = str(layout / "ang2019_t3_r0" / "cube.img")
    assert main(["predict", "methane_onboard:trained", cube, "-o", str(tmp_path / "map.tif"), *words]) == 0
    with rasterio.open(tmp_path / "map-mask.tif") as file:
        assert file.read(1).shape == (96, 96)
    assert main(["fit", "methane_onboard:trained", str(layout), "-o", str(tmp_path / "run"), *words]) == 1
    assert "applied as it is" in capsys.readouterr().err


@pytest.mark.parametrize("network", ["linknet", "unet"])
def test_networks_load_their_weights_and_are_cut_at_two(network, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    task = registry.create("methane_onboard:network", network=network)
    save_file(task.net[1].state_dict(), tmp_path / "weights.safetensors")
    again = registry.create("methane_onboard:network", network=network, weights=tmp_path / "weights.safetensors").eval()
    image = torch.rand(1, 4, 64, 64) * 1000
    batch = {"image": image, "valid": torch.ones(1, 64, 64, dtype=torch.bool)}
    with torch.inference_mode():
        assert torch.equal(task.eval()(batch), again(batch))
        bright = {**batch, "image": image + 1e5}
        assert torch.equal(again(bright), again({**batch, "image": image + 2e5}))


def test_networks_refuse_maps_without_unit():
    with pytest.raises(ConfigError, match="Networks cannot take"):
        registry.create("methane_onboard:network", method="cem")
    with pytest.raises(ConfigError, match="no such network"):
        registry.create("methane_onboard:network", network="vit")


def test_a_users_cube_without_training(tmp_path, capsys):
    """The system by its name, with methane of the package."""
    package = pytest.importorskip("onboard_methane_detection.onground.utils")
    cube = tiny_cube(96, 96, 60, strength=0)
    absorption = package.generate_methane_spectrum(cube.wavelengths, np.full(60, 8.5)) * 1e-5
    column = tiny_cube(96, 96, 60).column
    seen = cube.radiance * np.exp(absorption[:, None, None] * column)
    write_envi(tmp_path / "own.img", seen, cube.wavelengths, fwhm=8.5)
    output = tmp_path / "map.tif"
    assert main(["predict", "methane_onboard", str(tmp_path / "own.img"), "-o", str(output)]) == 0
    assert str(output) in capsys.readouterr().out
    check_products(tmp_path, column)


def test_a_cube_in_pixel_coordinates(layout, tmp_path):
    cube = tiny_cube(96, 96, 60)
    path = write_envi(tmp_path / "plain.img", cube.radiance, cube.wavelengths, crs=None)
    task = registry.create("methane_onboard", absorption=layout / "gas.csv", bands_used=40)
    task.predict(open_cube(path), tmp_path / "a.tif", products=("plumes",), pixel_size=20.0)
    table = gpd.read_file(tmp_path / "a-plumes.gpkg")
    assert table["area_m2"][0] == 400 * table["pixels"][0]
    assert not (tmp_path / "a.png").exists()


def test_published_samples_are_smaller(layout):
    cube = open_cube(layout / "ang2019_t1_r0" / "cube.img")
    found = {
        variant: registry.create("methane_onboard", absorption=layout / "gas.csv", variant=variant).mapper.map(cube)
        for variant in ("corrected", "published")
    }
    background = tiny_cube(96, 96, 60, seed=1).column < 1
    assert (found["corrected"][background] > 0).mean() < (found["published"][background] > 0).mean()


def test_a_run_remembers_its_threshold(layout, tmp_path):
    """And its table, which need not stand where it was."""
    table = tmp_path / "gas.csv"
    table.write_bytes((layout / "gas.csv").read_bytes())
    task = registry.create("methane_onboard", absorption=table, threshold=123.0)
    task.save(tmp_path / "run")
    table.unlink()
    loaded = Task.load(tmp_path / "run")
    assert loaded.threshold == 123.0
    cube = open_cube(layout / "ang2019_t1_r0" / "cube.img")
    expected = absorption_of(cube.bands, layout / "gas.csv")
    np.testing.assert_allclose(absorption_of(cube.bands, loaded.mapper.absorption), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.img", "b.img"], "one cube at a time"),
        (["none.img"], "does not exist"),
    ],
)
def test_unusable_words_are_told(tmp_path, capsys, words, message):
    assert main(["predict", "methane_onboard", *words, "-o", str(tmp_path / "map.tif")]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_unknown_options_are_refused(layout, tmp_path):
    with pytest.raises(ConfigError, match="no such variant"):
        registry.create("methane_onboard", variant="best")
    task = registry.create("methane_onboard", absorption=layout / "gas.csv")
    with pytest.raises(ConfigError, match="cannot be written so"):
        task.predict(layout / "ang2019_t1_r0" / "cube.img", tmp_path / "map.jpg")


def test_broken_layouts_are_refused(layout, tmp_path):
    task = registry.create("methane_onboard")
    with pytest.raises(ReadError, match="Cannot read"):
        task.open_data(str(tmp_path))
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("id\n../elsewhere\n")
    with pytest.raises(DataError, match="lies outside"):
        task.open_data(str(tmp_path))
    (tmp_path / "train.csv").write_text("name\nx\n")
    with pytest.raises(DataError, match="lacks its column"):
        task.open_data(str(tmp_path))
