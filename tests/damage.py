"""Files that are damaged on purpose."""

from __future__ import annotations

import rasterio


def spoil_a_block(path, row, col):
    """Overwrite the bytes of one tile."""
    with rasterio.open(path) as file:
        tags = file.tags(1, ns="TIFF")
        offset = int(tags.get(f"BLOCK_OFFSET_{col}_{row}") or file.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", 1))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
