"""Truths of a whole world, as tables and vector files."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from swath.files import replacing, write_text
from swath.simulate import noise, records, truth
from swath.simulate.world import World


def write_tables(world: World, folder: Path) -> list[Path]:
    """Yields of parcels, people and weekly cases of disease by settlement, a trial and a virtual species."""
    written = []
    for name, table in (
        ("yields", records.yields(world).rename_axis("id").reset_index()),
        ("people", records.people(world).rename_axis("settlement").reset_index()),
        ("disease", records.disease(world)),
    ):
        written.append(folder / f"{name}.csv")
        write_text(written[-1], pd.DataFrame(table).to_csv(index=False))
    written.append(write_frame(folder / "trial.gpkg", records.trial(world)))
    written.append(write_frame(folder / "species.gpkg", records.species(world)))
    return written


def write_lanes(world: World, folder: Path) -> list[Path]:
    """The lane graph: `lanes.gpkg`, and `follows.csv` with pairs of their numbers."""
    graph = truth.lane_graph(world)
    pairs = pd.DataFrame(graph.follows, columns=["lane", "next"])
    written = [write_frame(folder / "lanes.gpkg", graph.lanes.rename_axis("lane").reset_index())]
    written.append(folder / "follows.csv")
    write_text(written[-1], pairs.to_csv(index=False))
    return written


def write_misaligned(world: World, folder: Path) -> list[Path]:
    """Building outlines as a stale, badly placed map has them, with `dx`, `dy` in m and `turn` in degrees."""
    houses = world.layer("buildings")
    copy = truth.misaligned(houses, noise.rng(world.seed, "misaligned"))
    return [write_frame(folder / "buildings.gpkg", copy.rename_axis("id").reset_index())]


def write_frame(path: Path, frame: gpd.GeoDataFrame) -> Path:
    """Write a layer as GeoPackage, whole or not at all."""
    with replacing(path) as temporary:
        temporary.unlink()
        pyogrio.write_dataframe(frame, temporary, layer=path.stem, driver="GPKG")
    return path
