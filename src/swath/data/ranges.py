"""Ranges: whether a source's values can be what they are said to be."""

from __future__ import annotations

import numpy as np

from swath.data.sources import Source, read_around
from swath.geo.grids import shape_of
from swath.geo.windows import Window
from swath.sensors.catalogue import check_range

#: Edge of the windows looked at, in pixels, and how many along each axis.
_EDGE, _ACROSS = 128, 3


def require_plausible(source: Source) -> None:
    """Refuse a source whose values its units cannot hold, judged by windows from all over it.

    Raises:
        BandError: If the 1st or 99th percentile of a band lies outside of what its unit can be.
    """
    height, width = shape_of(source.grid)
    starts = [np.unique(np.linspace(0, max(0, size - _EDGE), _ACROSS).astype(int)) for size in (height, width)]
    found = []
    for row in starts[0]:
        for col in starts[1]:
            window = Window(int(row), int(col), min(_EDGE, height), min(_EDGE, width))
            stored, valid = read_around(source, window)  # whoever reads all of it tells what is damaged
            found.append(source.bands.decode(stored[:, valid]))
    values = np.concatenate(found, 1)
    if values.shape[1]:
        for band, low, high in zip(source.bands, *np.percentile(values, [1, 99], axis=1), strict=True):
            check_range(float(low), float(high), band, source.name)
