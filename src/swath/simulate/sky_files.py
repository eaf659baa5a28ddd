"""A field of the sky on disk: one FITS file for each telescope and filter, and the catalogue of truth."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import MissingExtraError
from swath.files import replacing
from swath.simulate.sky import TELESCOPES, Exposure, Sky, Telescope, observe, places

#: How the catalogue names the units of its columns.
_UNITS = {"ra": "deg", "dec": "deg", "mag": "mag", "radius": "arcsec", "angle": "deg", "kelvin": "K"}


def write_sky(sky: Sky, folder: Path | str, telescopes: Iterable[Telescope] = tuple(TELESCOPES.values())) -> list[Path]:
    """Write a field seen by telescopes in all their filters.

    `truth.fits` holds the catalogue with `flux_<filter>` in microjansky and `mag_<filter>`; `<telescope>_<filter>.fits`
    holds the picture in counts with its projection and `MAGZERO`, and as extensions `RMS` and `PSF`.

    Args:
        sky: The field.
        folder: Where to.
        telescopes: What sees it.

    Returns:
        The files, the catalogue first.

    Raises:
        MissingExtraError: If astropy is not installed.
        WriteError: If a file cannot be written.
    """
    fits, table_of = _astropy()
    telescopes = tuple(telescopes)
    folder = Path(folder)
    table = table_of.from_pandas(sky.catalogue)
    for name, unit in _UNITS.items():
        table[name].unit = unit
    for telescope in telescopes:
        for band, through in telescope.filters.items():
            table[f"flux_{band}"] = sky.flux(through)
            table[f"flux_{band}"].unit = "uJy"
            table[f"mag_{band}"] = 23.9 - 2.5 * np.log10(sky.flux(through))
        for axis, place in zip(("col", "row"), places(sky, table["ra"], table["dec"], telescope.pixel), strict=True):
            table[f"{axis}_{telescope.name}"] = np.asarray(place)
    written = [folder / "truth.fits"]
    with replacing(written[0]) as temporary:
        table.write(temporary, format="fits", overwrite=True)
    for telescope in telescopes:
        for band in telescope.filters:
            written.append(folder / f"{telescope.name}_{band}.fits")
            with replacing(written[-1]) as temporary:
                _hdus(fits, observe(sky, telescope, band)).writeto(temporary, overwrite=True)
    return written


def _hdus(fits: Any, seen: Exposure) -> Any:
    through = seen.telescope.filters[seen.band]
    header = fits.Header({**seen.wcs, "BUNIT": "count"})
    facts = {
        "TELESCOP": (seen.telescope.name, None),
        "FILTER": (seen.band, None),
        "MAGZERO": (seen.telescope.zero_point, "AB magnitude of one count"),
        "GAIN": (seen.telescope.gain, "electrons per count"),
        "FWHM": (through.fwhm, "of the point spread, arcsec"),
        "DEPTH": (through.depth, "AB magnitude of a point source at 5 sigma"),
    }
    for key, value in facts.items():
        header[key] = value
    return fits.HDUList(
        [
            fits.PrimaryHDU(seen.values, header),
            fits.ImageHDU(seen.rms, fits.Header(seen.wcs), name="RMS"),
            fits.ImageHDU(seen.psf.astype(np.float32), name="PSF"),
        ]
    )


def _astropy() -> tuple[Any, Any]:
    try:
        return importlib.import_module("astropy.io.fits"), importlib.import_module("astropy.table").Table
    except ImportError as error:
        raise MissingExtraError("astropy", "sky") from error
