"""Reviews: images that a person should look at, in a table that is corrected by hand and read back as labels.

A review is a table, `.csv`, or where outlines are known a vector file, `.gpkg`, with a row for each case. Its column
`class` is what the person edits, in a spreadsheet, QGIS or the Studio: a class that begins with `?` is a proposal and
counts for nothing until the person has written another, or taken the mark away. The files that are judged stay as and
where they are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from swath.data.scenes import Collection
from swath.data.whole_images import ImageLabel
from swath.errors import DataError, ReadError
from swath.geo.tables import write_table
from swath.geo.vectors import read_vectors

#: What a proposal begins with, and the columns that a review needs.
MARK, IMAGE, CLASS = "?", "image", "class"


def proposal(name: str) -> str:
    """A class that nobody has confirmed yet."""
    return f"{MARK} {name}"


def decided(classes: pd.Series) -> pd.Series:
    """Which classes a person has decided on: those that are there and no proposals."""
    texts = classes.astype("string").str.strip()
    return (texts.notna() & (texts != "") & ~texts.str.startswith(MARK, na=True)).astype(bool)


def write_review(cases: pd.DataFrame, path: str | Path) -> bool:
    """Write cases, and keep what a person has decided in a review that is there already.

    Args:
        cases: Columns `image` and `class` (a proposal) and whatever helps to decide; with outlines for a vector file.
        path: The review.

    Returns:
        Whether there was anything to write.

    Raises:
        SwathError: If the review that is there cannot be read, or the new one not be written.
    """
    path = Path(path)
    if path.exists():
        old = _read(path)
        old = old[decided(old[CLASS])]
        named = old[IMAGE].notna() if IMAGE in old.columns else np.zeros(len(old), bool)
        # what was drawn anew in the Studio has no image
        known = _covered(cases, old[~named])
        if IMAGE in old.columns:
            known |= cases[IMAGE].isin(old[IMAGE][named]).to_numpy()
        cases = pd.concat([cases[~known], old], ignore_index=True) if len(old) else cases
    if not len(cases):
        return False
    write_table(cases, path)
    return True


def reviewed(collection: Collection, path: str | Path) -> Collection:
    """The collection with the classes that a review decides; all others stay.

    Args:
        collection: Images with one class each, or none.
        path: The review; its column `image` has ids of scenes, or their last part where that tells them apart.

    Raises:
        ReadError: If the review is missing or damaged.
        DataError: If it lacks a column, or names an image or class that is not there.
    """
    path = Path(path)
    frame = _read(path)
    if IMAGE not in frame.columns:
        raise DataError(f"{path} does not say which images it is about", expected=f"a column `{IMAGE}`")
    frame = frame[decided(frame[CLASS])]
    names = () if collection.classes is None else collection.classes.names
    classes = frame[CLASS].str.strip()
    if strange := sorted(set(classes) - set(names)):
        raise DataError(f"{path} decides on what is no class", got=", ".join(strange[:5]), expected=", ".join(names))
    places = _places(collection)
    images = frame[IMAGE].astype(str)
    if lost := [image for image in images if image not in places]:
        raise DataError(f"{path} names images that are not there, or several at once", got=", ".join(lost[:5]))
    scenes = list(collection)
    for image, name in zip(images, classes, strict=True):
        scenes[places[image]] = replace(scenes[places[image]], labels=ImageLabel(names.index(name), str(path)))
    return collection.with_scenes(scenes, reviewed=f"{len(frame)} classes from {path.name}")


def _places(collection: Collection) -> dict[str, int]:
    """Place of each scene by its id, and by the last part of it where that is unique."""
    stems = [scene.id.rpartition("/")[2] for scene in collection]
    counts = pd.Series(stems).value_counts()
    short = {stem: number for number, stem in enumerate(stems) if counts[stem] == 1}
    return short | {scene.id: number for number, scene in enumerate(collection)}


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        try:
            frame = pd.read_csv(path, dtype={IMAGE: str, CLASS: str})
        except (OSError, ValueError, pd.errors.ParserError) as error:
            raise ReadError(f"{path} cannot be read as a review", got=error) from error
    else:
        frame = read_vectors(path)
    if CLASS not in frame.columns:
        raise DataError(f"{path} is no review", got=", ".join(map(str, frame.columns)), expected=f"a column `{CLASS}`")
    return frame


def _covered(cases: pd.DataFrame, others: gpd.GeoDataFrame) -> np.ndarray:
    """Which cases have an outline whose inner point lies in one of the others."""
    inside = np.zeros(len(cases), bool)
    if isinstance(cases, gpd.GeoDataFrame) and len(others):
        points = shapely.point_on_surface(cases.geometry.to_numpy())
        tree = shapely.STRtree(others.to_crs(cases.crs).geometry.to_numpy())
        inside[np.unique(tree.query(points, "intersects")[0])] = True
    return inside
