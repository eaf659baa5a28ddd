"""The scene engine against models whose exact answer on the whole scene is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from torch import Tensor, nn

from swath.data.classes import Classes
from swath.data.scenes import Scene
from swath.data.sources import ArraySource
from swath.errors import DataError
from swath.geo.cog import problems
from swath.scene import outputs
from swath.scene.apply import apply
from swath.scene.plan import Plan
from swath.scene.stream import finished_rows
from swath.sensors.bands import Band, Bands

BANDS = Bands("custom", (Band("a", "1", nodata=0), Band("b", "1", nodata=0)))


def scene_of(values: np.ndarray) -> Scene:
    grid = GeoBox(values.shape[1:], Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
    return Scene("s", {"image": ArraySource(values, BANDS, grid)})


def random_scene(height: int, width: int, seed: int = 0) -> Scene:
    return scene_of(np.random.default_rng(seed).random((2, height, width), np.float32) + 0.5)


class Convolution(nn.Module):
    """A fixed convolution with a receptive field of `2 * reach + 1` pixels."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 3, 2 * reach + 1, padding=reach)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        return self.conv(batch["image"])


def identity(batch: Mapping[str, Any]) -> Tensor:
    return batch["image"]


def streamed(model: Any, scene: Scene, plan: Plan, first: int = 0) -> np.ndarray:
    return np.concatenate([rows.scores for rows in finished_rows(model, scene, plan, first=first)], 1)


@pytest.mark.parametrize("shape", [(100, 130), (64, 64), (65, 200), (20, 33)])
def test_cropped_tiles_are_the_whole_image_to_rounding(shape: tuple[int, int]) -> None:
    """Half the overlap is as wide as the convolution reaches, so no pixel sees the edge of a tile."""
    scene, model = random_scene(*shape), Convolution(4)
    whole = torch.from_numpy(scene.layers["image"].read(_all(shape))[0])[None]
    with torch.inference_mode():
        expected = model({"image": whole})[0].numpy()
    found = streamed(model, scene, Plan(shape, 32, 8, 2, "crop"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@given(
    height=st.integers(1, 90), width=st.integers(1, 90), tile=st.integers(2, 40), share=st.floats(0, 0.9),
    batch=st.integers(1, 5), blend=st.sampled_from(["cosine", "linear", "crop"]),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_what_tiles_agree_on_comes_out_unchanged(
    height: int, width: int, tile: int, share: float, batch: int, blend: Any
) -> None:
    scene = random_scene(height, width)
    plan = Plan((height, width), tile, min(int(share * tile), tile - 1), batch, blend)
    expected = scene.layers["image"].read(_all((height, width)))[0]
    np.testing.assert_allclose(streamed(identity, scene, plan), expected, rtol=1e-5)


def test_blending_two_tiles_by_hand() -> None:
    """Tiles of 4 that share 2: a constant 0 on the first and 1 on the second fades by sin²(45°/2), sin²(3 45°/2)."""
    scene = random_scene(4, 6)

    def ramp(batch: Mapping[str, Any]) -> Tensor:
        second = (batch["window"][:, 1] > 0).float()
        return second[:, None, None, None].expand(-1, 1, 4, 4)

    found = streamed(ramp, scene, Plan((4, 6), 4, 2, 1, "cosine"))[0, 0]
    rise = np.sin(np.pi / 8) ** 2
    np.testing.assert_allclose(found, [0, 0, rise, 1 - rise, 1, 1], atol=1e-6)


@given(first=st.integers(0, 69), batch=st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_rows_from_any_row_on_are_bit_for_bit_those_of_a_whole_run(first: int, batch: int) -> None:
    scene, plan = random_scene(70, 50), Plan((70, 50), 16, 6, batch)
    model = Convolution(2)
    np.testing.assert_array_equal(streamed(model, scene, plan, first), streamed(model, scene, plan)[:, first:])


def test_products_open_with_crs_nodata_legend_and_item(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 700, 600), np.float32) + 0.5
    values[:, :100] = 0
    classes = Classes.of({3: {"name": "low", "colour": "#112233"}, 7: "high"})
    scene = scene_of(values)

    def softmax(batch: Mapping[str, Any]) -> Tensor:
        return batch["image"].softmax(1)

    asked = [
        outputs.class_map(tmp_path / "map.tif", classes),
        outputs.probabilities(tmp_path / "p.tif", classes),
        outputs.uncertainty(tmp_path / "u.tif"),
    ]
    report = apply(softmax, scene, asked, tile=128, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["map.tif", "map.tif.aux.xml", "map.tif.stac.json", "p.tif", "p.tif.stac.json", "u.tif", "u.tif.stac.json"]
    )
    assert not [problem for path in report.paths for problem in problems(path)]
    expected = np.where(values[0] >= values[1], 3, 7)
    expected[:100] = 255
    with rasterio.open(tmp_path / "map.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), expected)
        assert (raster.crs.to_epsg(), raster.nodata, raster.descriptions) == (32633, 255, ("class",))
        assert raster.transform == scene.grid.affine
        assert raster.colormap(1)[3] == (0x11, 0x22, 0x33, 255)
        assert raster.overviews(1)
    p = torch.from_numpy(values[:, 100:]).softmax(0).numpy()
    with rasterio.open(tmp_path / "p.tif") as raster:
        np.testing.assert_allclose(raster.read()[:, 100:], p, atol=1e-6)
        assert np.isnan(raster.read(1)[:100]).all()
        assert raster.descriptions == ("low", "high")
    with rasterio.open(tmp_path / "u.tif") as raster:
        entropy = -(p * np.log2(p)).sum(0)
        np.testing.assert_allclose(raster.read(1)[100:], 100 * entropy, atol=0.51)


def test_a_scene_without_a_valid_pixel_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    scene = scene_of(np.zeros((2, 40, 40), np.float32))
    with pytest.raises(DataError, match="Scene s has no valid pixel"):
        apply(identity, scene, [outputs.values(tmp_path / "v.tif", ("a", "b"), "1")], progress=False)
    assert list(tmp_path.iterdir()) == []


_SLOW_RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from test_apply import identity, random_scene
from swath.scene import outputs
from swath.scene.apply import apply

def slow(batch):
    time.sleep({pause})
    return identity(batch)

apply(slow, random_scene(3000, 300), [outputs.values(Path(sys.argv[1]), ("a", "b"), "1")], tile=128, progress=False)
"""


def test_a_killed_run_goes_on_and_gives_the_same_file(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    run = subprocess.Popen([sys.executable, "-c", _SLOW_RUN.format(here=here, pause=0.05), str(tmp_path / "v.tif")])
    chunks = tmp_path / ".v.tif.partial"
    while run.poll() is None and len(list(chunks.glob("0*.rows"))) < 3:
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "v.tif").exists()
    asked = [outputs.values(tmp_path / "v.tif", ("a", "b"), "1")]
    report = apply(identity, random_scene(3000, 300), asked, tile=128, progress=False)
    assert 768 <= report.resumed < 3000
    apply(
        identity,
        random_scene(3000, 300),
        [outputs.values(tmp_path / "w.tif", ("a", "b"), "1")],
        tile=128,
        progress=False,
    )
    assert (tmp_path / "v.tif").read_bytes() == (tmp_path / "w.tif").read_bytes()
    assert not chunks.exists()


def test_another_plan_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "v.tif"
    chunks = tmp_path / ".v.tif.partial"
    chunks.mkdir()
    (chunks / "plan.json").write_text('{"fingerprint": "of another run"}')
    (chunks / "00000000.rows").write_bytes(b"1 rubbish")
    report = apply(identity, random_scene(50, 50), [outputs.values(path, ("a", "b"), "1")], tile=32, progress=False)
    assert report.resumed == 0
    assert path.exists()


def test_bf16_is_taken_where_it_agrees_and_left_where_it_does_not(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("swath.scene.precision.has_bf16", lambda device: True)
    asked = [outputs.values(tmp_path / "v.tif", ("a", "b", "c"), "1")]

    class Delicate(nn.Module):
        """The difference of large products: bf16's eight bits are too few."""

        def forward(self, batch: Mapping[str, Any]) -> Tensor:
            x = batch["image"][:, :1] * 1000
            y = torch.nn.functional.conv2d(x, torch.ones(3, 1, 1, 1))
            return y.float() - 1000 * batch["image"][:, :1] + torch.arange(3.0)[:, None, None] * 1e-3

    good = apply(Convolution(1), random_scene(60, 60), asked, tile=32, precision="auto", progress=False)
    assert good.agreement is not None
    assert good.agreement.accepted
    bad = apply(Delicate(), random_scene(60, 60), asked, tile=32, precision="auto", progress=False)
    assert bad.agreement is not None
    assert not bad.agreement.accepted


def _all(shape: tuple[int, int]) -> Any:
    from swath.geo.windows import whole

    return whole(shape)
