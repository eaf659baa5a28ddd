"""The parcels of Sen4AgriNet as tables: mean and standard deviation of 13 bands in each month (Sykas et al. 2022).

Layout: `<split>_train.csv.gz`, `<split>_val.csv.gz` and `<split>_test.csv.gz`, with a row for each parcel and columns
`parcel_id`, `label`, `counts` and `<band>_<month>_mean`, `<band>_<month>_std`, months 00 to 11. Numbers are counts of
10 000 a unit of reflectance. A folder of patches (`swath.data.readers.sen4agrinet`) serves as well: the tables are made
of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from swath.data.classes import IGNORE
from swath.data.monthly_series import MonthlySeries
from swath.data.readers.sen4agrinet import LEARNED, OTHER, PUBLISHED, PatchLabels, Scenario, read_sen4agrinet
from swath.data.scenes import PARTS, Scene
from swath.data.sequences import Sequences, with_parts
from swath.data.unit_series import STATISTICS, unit_features
from swath.errors import DataError, ReadError
from swath.geo.zonal import numbered_statistics
from swath.sensors.bands import Bands
from swath.sensors.catalogue import sensor

#: Months whose numbers the networks see, counted from 0: May to November.
MONTHS = range(4, 11)
#: The bands, as text sorts them.
_BANDS = tuple(sorted(sensor("sentinel2_l1c").names))
#: Counts of a unit of reflectance.
_COUNTS = 10_000


def parcel_features() -> Bands:
    """Mean and deviation of each band, as the tables have them: `B01_mean`, `B01_std`, ..., `B12_std`, `B8A_std`."""
    return unit_features(sensor("sentinel2_l1c").select(_BANDS))


def read_sen4agrinet_oad(
    root: str | Path,
    split: str | None = None,
    months: Sequence[int] = MONTHS,
    scenario: Scenario | None = None,
) -> Sequences:
    """Open the tables of a split, or patches; parcels of crops that are left out are dropped.

    The release reads the table of the test part for all three parts; here each part has its own.

    Args:
        root: Folder of the tables, or of patches.
        split: What the names of tables begin with; None where the folder has those of one split only.
        months: Months, counted from 0.
        scenario: How patches are split.

    Raises:
        ReadError: If a table is missing or damaged.
        DataError: If a table lacks columns, tables of several splits are there, or no parcel is of a known crop.
    """
    root = Path(root)
    if not list(root.glob("*.csv*")) and any(root.rglob("*.nc")):
        data = read_sen4agrinet(root, scenario, _BANDS)
        pieces = [(scene.id, str(scene.part), parcel_table(scene)) for scene in data]
        return _sequences(pieces, months, root, str(data.facts["split"]))
    tables = [(part, part, _read(_path(root, split, part))) for part in PARTS]
    return _sequences(tables, months, root, "published tables")


def parcel_table(scene: Scene) -> pd.DataFrame:
    """The table of a patch, with the columns of the published ones: a row for each parcel.

    Args:
        scene: A patch with all bands (`swath.data.readers.sen4agrinet.open_patch`).

    Raises:
        DataError: If it lacks a band, or is no patch.
        ReadError: If its file is damaged.
    """
    series = scene.series["series"]
    if not isinstance(scene.labels, PatchLabels) or series.bands.names != _BANDS:
        raise DataError(f"Scene {scene.id} is no patch with all bands", got=series.bands.names, expected=_BANDS)
    file = scene.labels.file
    labels, numbers = file.plane("labels"), file.plane("parcels")
    values, valid = MonthlySeries(series.frames).read(scene.grid)
    steps, count = values.shape[:2]
    found = numbered_statistics(
        values.reshape(steps * count, *numbers.shape).astype(np.float64) * _COUNTS,
        numbers,
        STATISTICS,
        np.asarray(valid.all(0)),
    )
    columns = {"parcel_id": found.index.to_numpy()}
    # parcels are of one crop; of several codes in one the release takes the lowest
    lowest = pd.Series(labels[numbers > 0]).groupby(numbers[numbers > 0])
    columns["label"], columns["counts"] = lowest.min().to_numpy(), lowest.size().to_numpy()
    for place in range(steps * count):
        month, band = divmod(place, count)
        for name in STATISTICS:
            columns[f"{_BANDS[band]}_{month:02d}_{name}"] = found[f"b{place + 1}_{name}"].to_numpy()
    return pd.DataFrame(columns)


def _sequences(
    pieces: Sequence[tuple[str, str, pd.DataFrame]], months: Sequence[int], root: Path, how: str
) -> Sequences:
    """Sequences of tables, each with a name and a part; parcels of a table are a group where there are many tables."""
    place = {code: number for number, code in enumerate(LEARNED)}
    ids, groups, values, labels, parts = [], [], [], [], []
    dropped = 0
    for name, part, table in pieces:
        numbers = _numbers(table, months, root)
        label = table["label"].map(place).fillna(IGNORE).to_numpy(np.int64)
        kept = label != IGNORE
        dropped += int((~kept).sum())
        # numbers of parcels come again in other patches
        ids.append(np.array([f"{name}-{row}" for row in np.flatnonzero(kept)], str))
        groups.append(np.full(int(kept.sum()), name))
        values.append(numbers[kept])
        labels.append(label[kept])
        parts.append(np.full(int(kept.sum()), part))
    if not any(map(len, labels)):
        raise DataError(f"{root} holds no parcel of a known crop", expected=f"labels {list(LEARNED)}")
    data = Sequences(
        np.concatenate(ids),
        np.concatenate(values),
        parcel_features(),
        PUBLISHED,
        np.concatenate(labels),
        np.concatenate(groups) if len(pieces) > len(PARTS) else None,
        name="Sen4AgriNet parcels",
        facts={"origin": str(root), f"parcels of {OTHER}, left out": dropped},
    )
    return with_parts(data, np.concatenate(parts), how)


def _path(root: Path, split: str | None, part: str) -> Path:
    found = sorted(root.glob(f"{split or '*'}_{part}.csv*"))
    if not found:
        raise ReadError(f"{root} lacks a table of the {part} part", expected=f"{split or '<split>'}_{part}.csv.gz")
    if len(found) > 1:
        raise DataError(
            f"{root} holds tables of several splits",
            got=", ".join(path.name for path in found),
            expected="one",
            fix="Name the split, or give each a folder",
        )
    return found[0]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError, EOFError) as error:  # pandas' parser errors are ValueErrors
        raise ReadError(f"{path} cannot be read as a table", got=error) from error


def _numbers(table: pd.DataFrame, months: Sequence[int], root: Path) -> np.ndarray:
    """Reflectance `[parcels, months, features]`, float32."""
    columns = [f"{band}_{month:02d}_{name}" for month in months for band in _BANDS for name in STATISTICS]
    if missing := [name for name in ["label", *columns] if name not in table]:
        raise DataError(
            f"A table of {root} lacks columns", got=f"{len(missing)}: {', '.join(missing[:4])}", expected=columns[0]
        )
    return (table[columns].to_numpy(np.float32) / _COUNTS).reshape(len(table), len(months), -1)
