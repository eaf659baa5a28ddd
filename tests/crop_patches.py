"""Tiny patches of Sen4AgriNet, written where they are asked for: fields of three crops and one other, in two countries.

Greenness is a double logistic of the day; Catalonia is 30 days ahead of France.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray

EDGE = 24
FACTORS = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 1),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 2),
    **dict.fromkeys(("B01", "B09", "B10"), 6),
}
#: Code and days of rise and fall of each crop.
CROPS = ((110, 95, 190), (120, 165, 260), (435, 75, 175), (912, 90, 310))
_PLANT = {"B02": 0.03, "B03": 0.07, "B04": 0.035, "B08": 0.42, "B05": 0.1, "B06": 0.3, "B07": 0.38, "B8A": 0.42}
_SOIL = {"B02": 0.1, "B03": 0.12, "B04": 0.16, "B08": 0.22}


def write_patch(path, country="FR", seed=0, days=range(10, 360, 15), edge=EDGE, **replaced):
    """One patch of four fields a row; returns the codes and the numbers of parcels `[edge, edge]`.

    `replaced` gives groups by name in place of the right ones; None leaves the group out.
    """
    rng = np.random.default_rng(seed)
    side = edge // 4
    crops = rng.integers(len(CROPS), size=(4, 4))
    crops.flat[rng.permutation(16)[: len(CROPS)]] = range(len(CROPS))
    fields = np.kron(crops, np.ones((side, side), int))
    numbers = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((side, side), int))
    border = np.arange(edge) % side == 0
    numbers[border], numbers[:, border] = 0, 0
    codes = np.where(numbers > 0, np.array([code for code, _, _ in CROPS])[fields], 0)
    shift = rng.normal(0, 4, 17)[numbers] - (30 if country == "ES" else 0)
    year = Path(path).stem[:4]
    times = pd.DatetimeIndex([pd.Timestamp(f"{year}-01-01 10:40") + pd.Timedelta(days=day - 1) for day in days])
    _, rise, fall = np.array(CROPS)[fields].transpose(2, 0, 1)
    groups = {}
    for band, factor in FACTORS.items():
        planes = []
        for day in days:
            t = day - shift
            green = 0.9 * np.clip(1 / (1 + np.exp(-0.1 * (t - rise))) - 1 / (1 + np.exp(-0.1 * (t - fall))), 0, 1)
            value = green * _PLANT.get(band, 0.15) + (1 - green) * _SOIL.get(band, 0.2) + rng.normal(0, 0.01, t.shape)
            value = value.reshape(edge // factor, factor, edge // factor, factor).mean((1, 3))
            planes.append(np.clip(np.round(value * 10_000), 1, 20_000))
        groups[band] = dataset(band, np.stack(planes).astype(np.uint16), factor, times, seed)
    groups["labels"] = dataset("labels", codes.astype(np.uint32), place=seed)
    groups["parcels"] = dataset("parcels", numbers.astype(np.uint32), place=seed)
    groups = {name: group for name, group in (groups | replaced).items() if group is not None}
    attributes = {"patch_year": year, "patch_country_code": country}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    tree = xarray.DataTree.from_dict({"/": xarray.Dataset(attrs=attributes)} | groups)
    tree.to_netcdf(path, engine="h5netcdf")
    return codes, numbers


def dataset(name, values, factor=1, times=None, place=0):
    """One variable with the middles of its pixels; `place` moves it eastward."""
    height, width = values.shape[-2:]
    size = 10.0 * factor
    west = 400_000 + 10_000 * place
    places = {"y": 4_600_000 - size * (np.arange(height) + 0.5), "x": west + size * (np.arange(width) + 0.5)}
    if times is None:
        return xarray.Dataset({name: (["y", "x"], values)}, places)
    return xarray.Dataset({name: (["time", "y", "x"], values)}, {"time": times, **places})


def write_folder(root, patches=10, **options):
    """Patches of France 2019, and of Catalonia 2019 and 2020, in turn."""
    kinds = (("2019_31TCJ", "FR"), ("2019_31TCG", "ES"), ("2019_31TCJ", "FR"), ("2020_31TCG", "ES"))
    for number in range(patches):
        name, country = kinds[number % 4]
        write_patch(Path(root) / f"{name}_patch_{number}_0.nc", country, seed=number, **options)
    return root
