"""Sen4AgriNet: published checkpoints by their names, defects of the release, and both forms from the command line."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import torch
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox

import crop_patches
import swath
import tiny
from swath.cli import main
from swath.data.classes import IGNORE
from swath.data.readers.sen4agrinet import CLASSES, OTHER
from swath.data.series import SeriesInput
from swath.errors import ConfigError, DataError, WeightsError
from swath.metrics.confusion import confusion_matrix, per_class
from swath.sensors.bands import Band, Bands
from swath.simulate.crop_patches import parcels_on, sen4agrinet
from swath.simulate.world import make_world
from swath.tasks.task import Task

MONTHLY = range(10, 360, 30)


def _double(name, inside, outside):
    """Names and shapes of two convolutions with batch normalisation, as the release has them."""
    shapes = {}
    for place, channels in ((0, inside), (3, outside)):
        shapes[f"{name}.{place}.weight"], shapes[f"{name}.{place}.bias"] = (outside, channels, 3, 3), (outside,)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{place + 1}.{part}"] = (outside,)
        shapes[f"{name}.{place + 1}.num_batches_tracked"] = ()
    return shapes


def _both(name, weight, bias):
    return {f"{name}.weight": weight, f"{name}.bias": (bias,)}


def _cell(name, inside, hidden):
    return _both(f"{name}.conv.0", (4 * hidden, inside + hidden, 5, 5), 4 * hidden) | _both(
        f"{name}.conv.1", (4 * hidden,), 4 * hidden
    )


def _norm(name, width):
    return {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")} | {
        f"{name}.num_batches_tracked": ()
    }


def _temp_cnn(channels, classes, steps, hidden, kernel):
    shapes = {}
    for n in (1, 2, 3):
        shapes |= _both(f"conv_bn_relu{n}.block.0", (hidden, channels if n == 1 else hidden, kernel), hidden)
        shapes |= _norm(f"conv_bn_relu{n}.block.1", hidden)
    shapes |= _both("dense.block.0", (4 * hidden, hidden * steps), 4 * hidden) | _norm("dense.block.1", 4 * hidden)
    return shapes | _both("logsoftmax.0", (classes, 4 * hidden), classes)


#: Names and shapes in checkpoints of the release, read off its code, in its order.
RELEASED = {
    "unet": _double("layers.0.net", 24, 64)
    | _double("layers.1.net.1.net", 64, 128)
    | _double("layers.2.net.1.net", 128, 256)
    | _both("layers.3.upsample", (256, 128, 2, 2), 128)
    | _double("layers.3.conv.net", 256, 128)
    | _both("layers.4.upsample", (128, 64, 2, 2), 64)
    | _double("layers.4.conv.net", 128, 64)
    | _both("layers.5", (12, 64, 1, 1), 12),
    "convlstm": _both("conv_1e", (16, 4, 3, 3), 16)
    | _cell("clstm_1e", 16, 64)
    | _both("conv_2e", (64, 64, 3, 3), 64)
    | _cell("clstm_2e", 64, 96)
    | _both("conv_3e", (96, 96, 3, 3), 96)
    | _cell("clstm_3e", 96, 96)
    | _cell("clstm_1d", 96, 96)
    | _both("transconv_1d", (96, 96, 4, 4), 96)
    | _cell("clstm_2d", 96, 96)
    | _both("transconv_2d", (96, 96, 4, 4), 96)
    | _cell("clstm_3d", 96, 64)
    | _both("transconv_3d", (64, 16, 3, 3), 16)
    | _both("transconv_4d", (16, 12, 1, 1), 12),
    "convstar": {
        name: shape
        for n, inside in enumerate((4, 64, 64))
        for name, shape in (
            _both(f"ConvSTARCell_0{n}.gate", (64, inside + 64, 3, 3), 64)
            | _both(f"ConvSTARCell_0{n}.update", (64, inside, 3, 3), 64)
        ).items()
    }
    | _both("conv2d", (12, 64, 1, 1), 12),
    "tempcnn": _temp_cnn(4, 12, 6, 64, 5),
}
RELEASED_PARCELS = {
    "tempcnn": _temp_cnn(26, 11, 7, 128, 7),
    "lstm": {
        f"lstm.{part}_l{layer}{end}": {
            "weight_ih": (2048, 26 if layer == 0 else 1024),
            "weight_hh": (2048, 512),
            "bias_ih": (2048,),
            "bias_hh": (2048,),
        }[part]
        for layer in range(3)
        for end in ("", "_reverse")
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    | _both("fc1", (512, 1024), 512)
    | _both("fc2", (11, 512), 11),
    "transformer": {
        name: shape
        for n in range(3)
        for name, shape in {
            f"transformer_encoder.layers.{n}.self_attn.in_proj_weight": (78, 26),
            f"transformer_encoder.layers.{n}.self_attn.in_proj_bias": (78,),
            **_both(f"transformer_encoder.layers.{n}.self_attn.out_proj", (26, 26), 26),
            **_both(f"transformer_encoder.layers.{n}.linear1", (1024, 26), 1024),
            **_both(f"transformer_encoder.layers.{n}.linear2", (26, 1024), 26),
            **_both(f"transformer_encoder.layers.{n}.norm1", (26,), 26),
            **_both(f"transformer_encoder.layers.{n}.norm2", (26,), 26),
        }.items()
    }
    | {"pos_encoder.pe": (1, 30, 26)}
    | _both("fc", (11, 26), 11),
}
CASES = [("sen4agrinet", name, shapes) for name, shapes in RELEASED.items()]
CASES += [("sen4agrinet:oad", name, shapes) for name, shapes in RELEASED_PARCELS.items()]


@pytest.mark.parametrize(("system", "network", "shapes"), CASES, ids=[f"{s}-{n}" for s, n, _ in CASES])
def test_checkpoints_of_the_release_load(system, network, shapes, tmp_path):
    torch.manual_seed(0)
    state = {name: torch.rand(shape) * 0.1 for name, shape in shapes.items()}
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {**state, "lossfunction.weight": torch.ones(12)}, "epoch": 3}, path)
    net = swath.create(system, network=network, variant="published", weights=path).net
    # the order of names is the release's, so that one may be held against the other without a table
    for found, tensor in zip(net.state_dict().values(), state.values(), strict=True):
        assert torch.equal(found, tensor.to(found.dtype))
    del state[next(iter(state))]
    torch.save(state, path)
    with pytest.raises(WeightsError, match="1 missing"):
        swath.create(system, network=network, weights=path)


def test_inputs_are_scaled_as_published():
    maps, parcels = swath.create("sen4agrinet"), swath.create("sen4agrinet:oad", variant="published")
    assert maps.normalise.layers["series"].std == (1.0,) * 4  # reflectance
    np.testing.assert_allclose(parcels.normalise.layers["sequence"].std, 1e-4)  # counts of 10 000
    assert swath.create("sen4agrinet:oad").normalise is None
    radar = Bands("radar", (Band("VV", "dB"), Band("VH", "dB")))
    assert swath.create("sen4agrinet", series={"s1": SeriesInput(radar)}).normalise is None


def test_whole_numbers_of_log_probabilities_are_ties():
    """The release casts log-probabilities to integers before argmax: then the first of the ties wins."""
    scores = torch.randn(5000, 12, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    released = scores.to(torch.long).exp().clamp(0, 11).argmax(1)
    ours = scores.argmax(1)
    assert (released != ours).float().mean() > 0.1
    assert (released <= ours).all()


def test_predicted_background_costs_no_recall_in_the_release():
    """The release drops row and column 0 of the matrix; a map that calls most wheat background then looks perfect."""
    true, predicted = np.array([1] * 90 + [2] * 10), np.array([0] * 80 + [1] * 10 + [2] * 10)
    matrix = confusion_matrix(predicted, true, 3)
    legacy = matrix[1:, 1:]
    recall = np.diag(legacy) / legacy.sum(1)
    assert recall.tolist() == [1.0, 1.0]
    assert per_class(matrix)["recall"][1:].tolist() == pytest.approx([10 / 90, 1.0])
    # and accuracy that counts true negatives praises even the recall of a ninth
    wrong = matrix.sum(1) + matrix.sum(0) - 2 * np.diag(matrix)
    assert ((matrix.sum() - wrong) / matrix.sum())[1] == pytest.approx(0.2)
    assert np.trace(matrix) / matrix.sum() == pytest.approx(0.2)


def test_the_other_class_is_neither_learned_nor_scored(tmp_path):
    folder = crop_patches.write_folder(tmp_path, 5, days=MONTHLY)
    task = swath.create("sen4agrinet", network="convstar")
    data = task.open_data(str(folder))
    weights = task.loss_weights(task.seen(data))
    assert weights[0] == 0
    counts = np.zeros(12)
    for scene in data:
        if scene.part == "train":
            labels = scene.labels.read(scene.grid)
            counts += np.bincount(labels[labels != IGNORE], minlength=12)
    assert counts[0] > 0
    np.testing.assert_allclose(weights[[1, 2, 8]], counts[1:].sum() / (11 * counts[[1, 2, 8]]), rtol=1e-6)
    scores = task.score(data, resamples=10)
    matrix = np.array(scores.details["confusion"])
    assert matrix[0].sum() == 0
    assert matrix.sum() == sum((s.labels.read(s.grid) > 0).sum() for s in data if s.part == "test")
    assert set(scores.baselines) == {"majority", "nearest centroid", "random forest", "peak rule"}


def test_published_weights_of_classes_are_n_over_k_n():
    """Weights that the release ships for scenario 1; of N / (K n) the reciprocals add up to K."""
    shipped = (
        0.24919848, 1.19803382, 9.36192785, 0.36177316, 37.1044804, 1.70706484, 1.63182209, 1.10095233, 1.64496746,
        3.43646029, 4.02131782,
    )  # fmt: skip
    assert sum(1 / weight for weight in shipped) == pytest.approx(11, rel=1e-6)


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("sen4agrinet", {"network": "resnet"}),
        ("sen4agrinet", {"variant": "old"}),
        ("sen4agrinet:oad", {"network": "unet"}),
        ("sen4agrinet:oad", {"variant": "old"}),
        ("sen4agrinet", {"series": {}}),
    ],
)
def test_options_that_cannot_be_met_are_refused(system, options):
    with pytest.raises(ConfigError):
        swath.create(system, **options)


@pytest.mark.slow
def test_maps_and_parcels_of_the_published_layout_from_the_command_line(tmp_path):
    folder = crop_patches.write_folder(tmp_path / "data", 6, days=MONTHLY)
    run = tmp_path / "run"
    recipe = "--patch 12 --batch 4 --epochs 2 --accelerator cpu"
    assert main(["fit", "sen4agrinet", str(folder), "-o", str(run), "--network=convstar", *recipe.split()]) == 0
    assert main(["score", str(run), str(folder)]) == 0
    patch = folder / "2019_31TCJ_patch_0_0.nc"
    assert main(["predict", str(run), str(patch), "-o", str(tmp_path / "map.tif")]) == 0
    with rasterio.open(tmp_path / "map.tif") as found:
        assert (str(found.crs), found.shape) == ("EPSG:32631", (24, 24))
        assert found.colormap(1)[1][:3] == CLASSES.colours[1]
        assert set(np.unique(found.read(1))) <= set(CLASSES.codes)
    run = tmp_path / "parcels"
    assert main(["fit", "sen4agrinet:oad", str(folder), "-o", str(run), "--epochs=2", "--accelerator=cpu"]) == 0
    assert main(["score", str(run), str(folder)]) == 0
    assert json.loads((run / "scores-test.json").read_text())["facts"]["units"] > 0
    assert main(["predict", str(run), str(folder), "-o", str(tmp_path / "parcels.csv")]) == 0
    table = pd.read_csv(tmp_path / "parcels.csv")
    assert set(table["class"]) <= set(CLASSES.names) - {OTHER}


def _own_files(root):
    """A user's own fields and images: two crops that peak in spring and in summer, one image a month, in two CRS."""
    rng = np.random.default_rng(0)
    grid = GeoBox((60, 60), Affine(10, 0, 500_000, 0, -10, 5_300_000), "EPSG:32633")
    cells = [(row, col, 5, 5) for row in range(1, 60, 6) for col in range(1, 60, 6)]
    crops = rng.integers(2, size=len(cells))
    fields = tiny.boxes(cells, grid, crop=np.array(["colza", "corn"])[crops], number=np.arange(len(cells)))
    fields.to_crs(4326).to_file(root / "fields.gpkg")
    for month in range(3, 10):
        ndvi = np.full((60, 60), 0.15)
        for (row, col, height, width), crop in zip(cells, crops, strict=True):
            ndvi[row : row + height, col : col + width] += 0.7 * np.exp(-((month - (5, 8)[crop]) ** 2) / 2)
        nir, red = 0.3 * (1 + ndvi), 0.3 * (1 - ndvi)
        image = np.round(np.stack([red, nir]) * 10_000 + rng.normal(0, 60, (2, 60, 60)))
        image[:, :10, :20] = 0 if month == 6 else image[:, :10, :20]  # a cloud
        tiny.write_raster(root / f"s2/{2021}{month:02d}15.tif", image.astype(np.uint16), grid)
    described = {
        "series": {"s2": {"files": "s2/*.tif", "sensor": "sentinel2_l2a", "bands": ["B04", "B08"], "time": "%Y%m%d"}},
        "units": {"files": "fields.gpkg", "attribute": "crop", "id": "number"},
        "classes": {"colza": "rapeseed", "corn": "maize"},
        "split": {"by": "block", "size": 150},
    }
    (root / "own.yaml").write_text(yaml.safe_dump(described))
    return fields, described


@pytest.mark.slow
def test_own_fields_and_images_become_a_crop_map_of_parcels(tmp_path):
    fields, described = _own_files(tmp_path)
    run, own = tmp_path / "run", tmp_path / "own.yaml"
    recipe = "--epochs 12 --batch 8 --accelerator cpu"
    assert main(["fit", "sen4agrinet:oad", str(own), "-o", str(run), *recipe.split()]) == 0
    assert main(["score", str(run), str(own)]) == 0
    found = json.loads((run / "scores-test.json").read_text())
    assert found["system"]["accuracy"]["value"] > 0.8 > found["baselines"]["majority"]["accuracy"]["value"]
    unlabelled = {key: value for key, value in described.items() if key not in ("classes", "split")}
    unlabelled["units"] = {"files": "fields.gpkg", "id": "number"}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(unlabelled))
    assert main(["predict", str(run), str(tmp_path / "new.yaml"), "-o", str(tmp_path / "crops.gpkg")]) == 0
    crops = gpd.read_file(tmp_path / "crops.gpkg")
    truth = fields["crop"].map({"colza": "rapeseed", "corn": "maize"}).to_numpy()
    assert (crops["class"].to_numpy() == truth).mean() > 0.9
    assert crops["id"].astype(int).tolist() == fields["number"].tolist()
    assert crops.crs.to_epsg() == 4326
    # with months, the same runs on composites
    described["units"]["months"] = [4, 8]
    own.write_text(yaml.safe_dump(described))
    data = Task.load(run).open_data(str(own))
    assert data.values.shape == (100, 5, 4)
    assert data.facts["steps"] == 5


def _table(root, **units):
    rows = {f"{name}_{step}": np.arange(6) + place for place, name in enumerate(("a", "b")) for step in ("01", "02")}
    told = {"kind": ["x", "y"] * 3, "farm": list("ppqqrr"), "half": ["train", "val", "test"] * 2}
    pd.DataFrame({**rows, **told}).to_csv(root / "table.csv", index=False)
    described = {"units": {"table": "table.csv", "attribute": "kind", **units}, "classes": {"x": "X", "y": "Y"}}
    (root / "own.yaml").write_text(yaml.safe_dump(described))
    return str(root / "own.yaml")


def test_own_tables(tmp_path):
    task = swath.create("sen4agrinet:oad")
    data = task.open_data(_table(tmp_path, columns="{feature}_{step}", group="farm"))
    assert data.features.names == ("a", "b")
    assert data.values[2].tolist() == [[2, 3], [2, 3]]
    assert all(len(set(data.parts[data.groups == farm])) == 1 for farm in "pqr")
    data = task.open_data(_table(tmp_path, part="half"))
    assert data.parts.tolist() == ["train", "val", "test"] * 2
    for units, error, message in (
        ({"part": "kind"}, DataError, "unknown parts"),
        ({"id": "name"}, ConfigError, "no column for `id`"),
        ({"columns": "{feature}-{step}"}, DataError, "no whole sequences"),
        ({"columns": "a"}, ConfigError, "names no step"),
        ({"files": "x.gpkg"}, ConfigError, "in no file"),
        ({"colums": "a"}, ConfigError, "unknown key"),
        ({"attribute": "farm"}, DataError, "outside the classes"),
    ):
        with pytest.raises(error, match=message):
            task.open_data(_table(tmp_path, **units))


def test_units_without_images_are_refused(tmp_path):
    fields, described = _own_files(tmp_path)
    task = swath.create("sen4agrinet:oad")
    for change, error, message in (
        ({"series": {}}, ConfigError, "no `layers`"),
        ({"units": {"files": "fields.gpkg", "attribute": "kind"}}, ConfigError, "no column"),
        ({"units": {"files": "fields.gpkg", "months": [9, 4]}}, ConfigError, "Months"),
        ({"units": {"files": "fields.gpkg", "months": [4]}}, ConfigError, "no two numbers"),
        ({"split": {"by": "time"}}, ConfigError, "cannot be split so"),
        ({"split": {"by": "group"}}, ConfigError, "has none"),
    ):
        (tmp_path / "own.yaml").write_text(yaml.safe_dump({**described, **change}))
        with pytest.raises(error, match=message):
            task.open_data(str(tmp_path / "own.yaml"))
    moved = fields.set_geometry(fields.translate(90_000, 0))
    moved.to_file(tmp_path / "fields.gpkg")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(described))
    with pytest.raises(DataError, match="shows any unit"):
        task.open_data(str(tmp_path / "own.yaml"))
    assert shapely.get_type_id(moved.geometry.iloc[0]) == 3


@pytest.mark.slow
def test_simulated_patches_hold_the_crops_of_the_world(tmp_path):
    world = make_world(seed=3, width=2400, height=1600, towns=10, forest=0.05, coast=0.0)
    written = sen4agrinet(world, tmp_path, patches=3, edge=36, every=90)
    assert [path.name[:10] for path in written] == ["2019_32TCG", "2020_32TCG", "2019_32TCJ"]
    task = swath.create("sen4agrinet", network="convstar")
    for path in written:
        scene = task.open_source([str(path)])
        codes, numbers = parcels_on(world, scene.grid)
        np.testing.assert_array_equal(scene.labels.file.plane("labels"), codes)
        np.testing.assert_array_equal(scene.labels.file.plane("parcels"), numbers)
        assert all(len(np.unique(codes[numbers == n])) == 1 for n in np.unique(numbers[numbers > 0]))
        assert ((codes > 0) == (numbers > 0)).all()
    with pytest.raises(ConfigError, match="multiple of 6"):
        sen4agrinet(world, tmp_path, edge=40)
    with pytest.raises(ConfigError, match="no room"):
        sen4agrinet(world, tmp_path, patches=100, edge=60)
