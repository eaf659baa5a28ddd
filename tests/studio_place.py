"""Where a place lies in the web's tiles, by the published formula."""

import math


def tile_of(lon, lat, zoom):
    """Tile `(z, x, y)` and pixel `(row, col)` of a tile of 256 pixels at a place, by the formulas of slippy maps."""
    x = (lon + 180) / 360 * 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom
    return zoom, int(x), int(y), int(y % 1 * 256), int(x % 1 * 256)
