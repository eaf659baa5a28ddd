"""The FUSU system: a checkpoint in the authors' names, its variants and options, and runs from the command line."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
import yaml
from PIL import Image

import swath
import tiny
from swath.cli import main
from swath.data.readers.fusu import read_fusu
from swath.data.series import SeriesInput, View
from swath.errors import ConfigError, DataError, WeightsError
from swath.sensors.bands import Bands
from swath.sensors.catalogue import resolve
from swath.simulate.fusu import fusu
from swath.simulate.world import make_world
from swath.systems.segmentation.fusu import _own_names
from swath.tasks.normalise import Normalisation, Normalise

_SMALL = {"encoder": "hrnet_w18_small"}
_SERIES = {"monthly": SeriesInput(resolve("sentinel1_grd", ["VV", "VH"]), View(10.0, 16))}


#: Some of what a checkpoint holds and the authors' network does not use.
UNUSED = (
    "fusion.out_conv.conv.conv.0.weight",
    "fm_utae_featmap_cropped.conv_list.0.weight",
    "fm_utae_featmap_collapsed.mlps.2.0.bias",
    "head_bin.conv5.0.fusion.in_conv.conv.conv.0.weight",
)


def published_names(net):
    """Tensors of a network by the names of the authors' code, with what is there and unused."""
    names = {}
    for key, tensor in net.state_dict().items():
        part, _, rest = key.partition(".")
        pieces = rest.split(".")
        if part == "encoder":
            names[rest.replace("net.", "backbone.", 1)] = tensor
        elif part == "land_use":
            names[f"head.head.{rest}"] = tensor
        elif part == "change" and pieces[0] == "0":
            level, index = int(pieces[2]), int(pieces[3])
            names[f"head_bin.conv5.0.conv{level + 1}.{index - 1}.{pieces[4]}"] = tensor
        elif part == "change":
            names[f"head_bin.conv5.{rest}"] = tensor
        elif part == "fusion":
            theirs = {"cropped": "cropped.conv_list.3", "collapsed": "collapsed.mlps.3"}[pieces[0]]
            names[f"fm_utae_featmap_{theirs}.{'.'.join(pieces[1:])}"] = tensor
        elif pieces[0] == "embed":
            names[f"fusion.in_conv.conv.conv.{3 * int(pieces[1]) + int(pieces[2])}.{pieces[3]}"] = tensor
        elif pieces[0] == "temporal":
            theirs = {
                "query": "attention_heads.Q", "keys": "attention_heads.fc1_k", "widen": "inconv", "mix": "mlp",
                "normalise": "in_norm", "renormalise": "out_norm",
            }[pieces[1]]  # fmt: skip
            tensor = tensor[..., None] if (pieces[1], pieces[-1]) == ("widen", "weight") else tensor
            names[".".join(["fusion.temporal_encoder", theirs, *pieces[2:]])] = tensor
        else:
            theirs = {
                "shrink": "down.conv", "first": "conv1.conv", "second": "conv2.conv", "skip": "skip_conv",
                "enlarge": "up",
            }[pieces[2]]  # fmt: skip
            names[".".join(["fusion", f"{pieces[0]}_blocks", pieces[1], theirs, *pieces[3:]])] = tensor
    names |= dict.fromkeys(UNUSED, torch.zeros(3))
    return {f"module.{name}": tensor for name, tensor in names.items()}


def test_a_checkpoint_of_the_authors_code_loads(tmp_path):
    """Names are those in models/sseg/{base,fcn,pspnet}.py, models/utae.py and models/src of the release."""
    torch.manual_seed(1)
    source = swath.create("fusu", variant="published", **_SMALL).net
    names = published_names(source)
    for known in (
        "backbone.stage2.0.fuse_layers.0.1.0.weight", "fusion.in_conv.conv.conv.4.bias",
        "fusion.down_blocks.2.down.conv.1.weight", "fusion.up_blocks.0.skip_conv.1.running_mean",
        "fusion.temporal_encoder.attention_heads.fc1_k.weight", "fusion.temporal_encoder.mlp.1.running_var",
        "fm_utae_featmap_collapsed.mlps.3.6.bias", "head.head.4.weight", "head_bin.conv5.0.conv4.1.weight",
        "head_bin.conv5.5.bias",
    ):  # fmt: skip
        assert f"module.{known}" in names
    torch.save(names, tmp_path / "fusu.pth")
    torch.manual_seed(2)
    net = swath.create("fusu", variant="published", weights=tmp_path / "fusu.pth", **_SMALL).net
    assert all(torch.equal(tensor, source.state_dict()[key]) for key, tensor in net.state_dict().items())
    with pytest.raises(WeightsError, match="do not fit"):
        swath.create("fusu", variant="published", heads="aspp", weights=tmp_path / "fusu.pth", **_SMALL)
    del names["module.head.head.4.weight"]
    torch.save(names, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"1 missing \(land_use\.4\.weight"):
        swath.create("fusu", variant="published", weights=tmp_path / "part.pth", **_SMALL)


def test_own_names_stay():
    state = {"encoder.net.conv1.weight": torch.zeros(1)}
    assert _own_names(state).keys() == state.keys()


def test_variants():
    published, corrected = (swath.create("fusu", variant=v, **_SMALL) for v in ("published", "corrected"))
    assert published.normalise.layers["before"].mean[0] == pytest.approx(123.675 * 255)
    assert corrected.normalise.layers["before"].mean[0] == 123.675
    assert published.normalise.layers["monthly"].std == (1.0,) * 14
    assert "monthly" not in corrected.normalise.layers  # is learned
    assert (published.net.dated, corrected.net.dated) == (False, True)
    assert not published.net.series.temporal.masked
    assert corrected.net.series.temporal.masked
    assert corrected.net.ground * 512 == pytest.approx(0.2)
    assert corrected.recipe.learning_rate * corrected._faster == pytest.approx(1.5e-3)


def test_the_rate_of_the_encoder_is_a_tenth():
    task = swath.create("fusu", series=_SERIES, **_SMALL)
    slow, quick = task.parameter_groups()
    count = sum(p.numel() for p in task.net.encoder.parameters())
    assert sum(p.numel() for p in slow["params"]) == count
    assert sum(p.numel() for p in quick["params"]) == sum(p.numel() for p in task.net.parameters()) - count
    assert quick["lr"] == pytest.approx(1.5e-3)


def test_it_takes_what_the_data_have():
    layers = {name: resolve("naip") for name in ("before", "after")}
    task = swath.create("fusu", bands=layers, classes=["a", "b"], series=_SERIES, **_SMALL)
    assert task.normalise is None
    with torch.no_grad():
        found = task.net.eval()(
            {name: torch.zeros(1, 4, 64, 64) for name in layers},
            {"monthly": {"values": torch.zeros(1, 2, 2, 16, 16), "valid": torch.ones(1, 2, 16, 16, dtype=torch.bool),
                         "dates": torch.tensor([[18_000, 18_030]])}},
        )  # fmt: skip
    assert found.before.shape == (1, 2, 64, 64)
    assert swath.create("fusu", series={}, **_SMALL).net.series is None
    assert swath.create("fusu", fusion=False, **_SMALL).series == {}


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "paper"},
        {"heads": "psp"},
        {"pixel": 0.0},
        {"encoder": "resnet18"},
        {"series": {**_SERIES, "other": _SERIES["monthly"]}},
        {"bands": {"before": resolve("rgb")}},
        {"bands": {"before": resolve("rgb"), "after": resolve("naip")}},
    ],
)
def test_options_that_cannot_be_met_are_refused(options):
    with pytest.raises(ConfigError):
        swath.create("fusu", **{**_SMALL, **options})


def two_dates(folder, pixel=0.5, scenes=5):
    """A user's own files: land that half turns from field to house where the series turns, and a YAML of them."""
    rng = np.random.default_rng(0)
    for number in range(scenes):
        fine = tiny.grid(64, 64, size=pixel, x=500_000.0 + 400 * number)
        coarse = tiny.grid(16, 16, size=10.0, x=500_000.0 + 400 * number - 64, y=5_000_064.0)
        before = np.ones((64, 64), np.uint8)
        after = before.copy()
        after[:, 32:] = 2
        for name, use in (("t1", before), ("t2", after)):
            seen = (60 + 90 * (use == 2) + rng.normal(0, 5, (3, 64, 64))).astype(np.uint8)
            tiny.write_raster(folder / f"{name}/s{number}.tif", seen, fine)
            tiny.write_raster(folder / f"{name}_use/s{number}.tif", use, fine)
        for month in (1, 5, 9):
            radar = rng.normal(-12, 1, (2, 16, 16)).astype(np.float32)
            tiny.write_raster(folder / f"s1/s{number}_2021{month:02}10.tif", radar, coarse)
    described = {
        "layers": {
            "before": {"files": "t1/{id}.tif", "sensor": "rgb"}, "after": {"files": "t2/{id}.tif", "sensor": "rgb"},
        },
        "series": {
            "s1": {"files": "s1/{id}_*.tif", "sensor": "sentinel1_grd", "bands": ["VV", "VH"], "time": "%Y%m%d",
                   "resolution": 10, "size": 16},
        },
        "labels": {"files": {"before": "t1_use/{id}.tif", "after": "t2_use/{id}.tif"}},
        "classes": {1: "field", 2: "house"},
        "split": {"by": "files", "train": ["s0", "s1", "s2"], "val": "s3", "test": "s4"},
    }  # fmt: skip
    (folder / "data.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    return folder / "data.yaml"


@pytest.mark.slow
def test_a_users_own_files_from_the_command_line(tmp_path):
    data, run = two_dates(tmp_path), tmp_path / "run"
    recipe = "--patch 64 --batch 3 --epochs 6 --samples 12 --learning_rate 0.002 --accelerator cpu"
    assert main(["fit", "fusu", str(data), "-o", str(run), "--encoder=hrnet_w18_small", *recipe.split()]) == 0
    assert main(["score", str(run), str(data)]) == 0
    scores = yaml.safe_load((run / "scores-test.json").read_text())
    assert set(scores["baselines"]) == {"majority, no change", "image difference", "random forest, compared"}
    assert scores["system"]["change_f1"]["value"] > scores["baselines"]["majority, no change"]["change_f1"]["value"]
    assert main(["predict", str(run), f"{data}:s4", "-o", str(tmp_path / "map.tif")]) == 0
    with rasterio.open(tmp_path / "map.tif") as change, rasterio.open(tmp_path / "t1/s4.tif") as original:
        assert (change.crs, change.transform, change.shape) == (original.crs, original.transform, original.shape)
    with rasterio.open(tmp_path / "map-after.tif") as after:
        assert set(np.unique(after.read(1))) <= {1, 2}
    assert list(pd.read_csv(tmp_path / "map-table.csv")) == ["from", "to", "pixels", "hectares"]
    assert "s4_20210510.tif" in (tmp_path / "map.tif.stac.json").read_text()


def test_pixels_of_another_size_are_refused(tmp_path):
    from swath.data.config import load_data

    data = load_data(two_dates(tmp_path, pixel=0.3, scenes=5))
    task = swath.create("fusu", classes=data.classes, bands=data.bands, series=data.series, **_SMALL)
    with pytest.raises(ConfigError, match="more ground than the series 's1': got 512 pixels"):
        task.prepare(task.seen(data))
    task.recipe = replace(task.recipe, patch=64)
    with pytest.raises(ConfigError, match=r"got 0\.3 m; expected 0\.5 m"):
        task.prepare(task.seen(data))
    with pytest.raises(DataError, match="other classes"):
        swath.create("fusu", classes=["a", "b"], bands=data.bands, series=data.series, **_SMALL).prepare(data)
    with pytest.raises(ConfigError, match="more ground than the series 's1': got 640 pixels"):
        task.predict(data[0], tmp_path / "map.tif", tile=640)


@pytest.mark.slow
def test_the_published_layout_is_fitted_scored_and_mapped_from_the_command_line(tmp_path):
    fusu(farmland(), tmp_path / "data", patches=3, edge=64, months=(("A", 9), ("B", 6)), around=16)
    run = tmp_path / "run"
    recipe = "--patch 64 --batch 2 --epochs 1 --samples 2 --accelerator cpu"
    words = ["fit", "fusu", str(tmp_path / "data"), "-o", str(run), "--encoder=hrnet_w18_small", *recipe.split()]
    assert main(words) == 0
    assert main(["score", str(run), str(tmp_path / "data"), "--resamples", "20"]) == 0
    described = tmp_path / "one.yaml"
    described.write_text(f"layout: fusu\nfolder: {tmp_path / 'data'}\n")
    assert main(["predict", str(run), f"{described}:1_0", "-o", str(tmp_path / "map.tif"), "--tta", "true"]) == 0
    with rasterio.open(tmp_path / "map-before.tif") as file:
        assert file.shape == (64, 64)
        assert set(np.unique(file.read(1))) <= set(range(1, 18))


@pytest.mark.slow
def test_the_layout_of_the_authors_loader_is_scored(tmp_path):
    fusu(farmland(), tmp_path, patches=6, edge=32, months=(("B", 6),), around=16, folders=True)
    data = read_fusu(tmp_path)
    task = swath.create("fusu", classes=data.classes, series=data.series, **_SMALL)
    statistics = Normalisation((1000.0,) * 14, (1000.0,) * 14)
    task.normalise = Normalise({**task.normalise.layers, "monthly": statistics})
    task.recipe = replace(task.recipe, patch=32)
    scores = task.score(data, resamples=20)
    assert scores.facts["pixels"] == 2 * 32 * 32
    part = next(tmp_path.glob("*/label_bin/1_0.png")).parents[1]
    first, second, change = (np.asarray(Image.open(part / f"{n}/1_0.png")) for n in ("label1", "label2", "label_bin"))
    assert np.array_equal(change, first != second)


def farmland():
    return make_world(seed=5, width=1500, height=1500, coast=0.0, towns=4, relief=60, forest=0.1)


def test_bands_of_the_series_are_kept_with_the_run():
    from swath.tasks.plain import from_plain, to_plain

    task = swath.create("fusu", series=_SERIES, **_SMALL)
    again = from_plain(to_plain(task.system["options"]))
    assert again["series"] == _SERIES
    assert isinstance(again["series"]["monthly"].bands, Bands)
