"""The catalogue as a FITS table with the published names and units, and the segmentation map beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath.errors import ReadError
from swath.files import replacing
from swath.sky.packages import package

#: Units of columns by the beginning of their name; the first that fits counts.
_UNITS = (
    ("FLUX", "uJy"),
    ("RIGHT_ASCENSION", "deg"),
    ("DECLINATION", "deg"),
    ("POSITION_ANGLE", "deg"),
    ("SERSIC_ANGLE", "deg"),
    ("SERSIC_SERSIC_VIS_RADIUS", "arcsec"),
    ("FWHM", "arcsec"),
    ("APER_FWHM", "arcsec"),
    ("SEMIMAJOR_AXIS", "pix"),
    ("SEGMENTATION_AREA", "pix2"),
    ("X_IMAGE", "pix"),
    ("Y_IMAGE", "pix"),
    ("MUMAX_MINUS_MAG", "mag"),
    ("MU_MAX", "mag / arcsec2"),
)


def finished(table: pd.DataFrame, wcs: Any) -> pd.DataFrame:
    """Measured sources as a catalogue: sky positions, identifiers, columns in the order of the published one.

    `OBJECT_ID` is made of the position: right ascension, then nine digits of declination, both in 1e-7 degrees,
    negative south of the equator.

    Args:
        table: What `measure_tiles` gives.
        wcs: Of the mosaics.
    """
    ra, dec = wcs.celestial.wcs_pix2world(table["x"].to_numpy(), table["y"].to_numpy(), 0)
    total = table["FLUX_DETECTION_TOTAL"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.where(total > 0, 23.9 - 2.5 * np.log10(total), np.nan)
    identifier = np.round(ra * 1e7).astype(np.int64) * 10**9 + np.round(np.abs(dec) * 1e7).astype(np.int64)
    first = {
        "OBJECT_ID": np.where(dec < 0, -identifier, identifier),
        "RIGHT_ASCENSION": ra,
        "DECLINATION": dec,
        "SEGMENTATION_MAP_ID": table["SEGMENTATION_MAP_ID"],
    }
    last = {
        "MUMAX_MINUS_MAG": table["MU_MAX"] - magnitude,
        # FITS counts pixels from one
        "X_IMAGE": table["x"] + 1,
        "Y_IMAGE": table["y"] + 1,
    }
    rest = table.drop(columns=["x", "y", "SEGMENTATION_MAP_ID"])
    return pd.concat([pd.DataFrame(first), rest, pd.DataFrame(last)], axis=1)


def write_catalogue(catalogue: pd.DataFrame, path: Path, facts: dict[str, str | float | int]) -> None:
    """Write a catalogue as the FITS table `CATALOGUE`, with units, and facts as header cards.

    Raises:
        WriteError: If the file cannot be written.
    """
    table = package("astropy.table").Table.from_pandas(catalogue)
    for name in table.colnames:
        for start, unit in _UNITS:
            if name.startswith(start):
                table[name].unit = unit
                break
    fits = package("astropy.io.fits")
    data = fits.table_to_hdu(table)
    data.name = "CATALOGUE"
    for key, value in facts.items():
        data.header[key] = value
    with replacing(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), data]).writeto(temporary, overwrite=True)


def read_catalogue(path: Path) -> pd.DataFrame:
    """A FITS table as a frame, scalar columns only.

    Raises:
        ReadError: If the file is missing, damaged, or holds no table.
    """
    if not path.is_file():
        raise ReadError(f"There is no file {path}")
    try:
        table = package("astropy.table").Table.read(path, format="fits")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ReadError(f"{path} cannot be read as a FITS table", got=error) from error
    return table[[name for name in table.colnames if table[name].ndim == 1]].to_pandas()


def write_segmentation(segments: np.ndarray, wcs: Any, path: Path) -> None:
    """Write a segmentation map as a compressed FITS image: SEGMENTATION_MAP_ID of each pixel, 0 where there is none.

    Raises:
        WriteError: If the file cannot be written.
    """
    fits = package("astropy.io.fits")
    image = fits.CompImageHDU(segments.astype(np.int32), wcs.to_header(relax=True), name="SEGMAP")
    with replacing(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(temporary, overwrite=True)
