"""The naive baseline of gas mapping: how dark a band inside the absorption is against one outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from swath.errors import BandError
from swath.geo.windows import whole
from swath.spectral.absorption import absorption_of, wavelengths
from swath.spectral.mapping import Cube

#: nm: the strongest methane bands and the continuum beside them.
_RANGE = (2100.0, 2450.0)


def band_ratio(cube: Cube, table: Path | None = None) -> np.ndarray:
    """One less the ratio of the most to the least absorbed band of 2100 to 2450 nm, each over its median.

    Args:
        cube: The cube.
        table: Of the absorption, see `absorption_of`.

    Returns:
        float32 `[height, width]`, positive where gas may be; NaN where invalid.

    Raises:
        BandError: If there are not two such bands.
    """
    nm, absorption = wavelengths(cube.bands), absorption_of(cube.bands, table)
    near = np.flatnonzero((nm >= _RANGE[0]) & (nm <= _RANGE[1]))
    if len(near) < 2:
        raise BandError("A band ratio needs two bands between 2100 and 2450 nm", got=len(near))
    strength = np.abs(absorption[near])
    values, valid = cube.pick([int(near[strength.argmax()]), int(near[strength.argmin()])]).read(whole(cube.grid.shape))
    valid &= (values > 0).all(0)
    ratio = np.full(valid.shape, np.nan, np.float32)
    if valid.any():
        inside, outside = (plane[valid] / np.median(plane[valid]) for plane in values)
        ratio[valid] = 1 - inside / outside
    return ratio
