"""Mosaics from FITS files: a file of one's own for each band, or a folder as Euclid publishes its tiles.

A file of one's own holds the picture in counts with its projection, `MAGZERO` (AB magnitude of one count) or `BUNIT`
microjansky, and the extensions `RMS` (standard deviation) or `WEIGHT` (inverse variance, 0 for no data), `PSF` (a
stamp, or `[R, C, h, w]`), and, if there are flaws, `FLAG`. Euclid's folder has these as files of their own.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swath.errors import DataError, ReadError
from swath.sky.detection import background
from swath.sky.mosaics import Mosaic, brought_over, coadd, make_mosaic, same_grid
from swath.sky.packages import package

#: Names of Euclid's Q1 tiles.
_PUBLISHED = re.compile(r"EUC_MER_BGSUB-MOSAIC-(?P<band>[A-Z0-9-]+)_TILE(?P<tile>\d+)")
_SIBLINGS = {"rms": "EUC_MER_MOSAIC-{}-RMS_TILE*.fits*", "flag": "EUC_MER_MOSAIC-{}-FLAG_TILE*.fits*"}
_SPREADS = ("EUC_MER_CATALOG-PSF-{}_TILE*.fits*", "EUC_MER_GRID-PSF-{}_TILE*.fits*")
_MICROJANSKY = {"ujy", "uJy", "microjansky", "microJy"}


@dataclass(frozen=True)
class Picture:
    """Files of one picture of one band; what is not named is an extension of `image`."""

    image: Path
    rms: Path | None = None
    flag: Path | None = None
    psf: Path | None = None


#: Pictures of each band, the sharp one first.
Field = Mapping[str, Sequence[Picture]]


def find_field(words: Sequence[str], vis: str = "VIS") -> dict[str, list[Picture]]:
    """Which files hold which band.

    Args:
        words: A folder; or files, each as `BAND=FILE` or, where its card FILTER names the band, as `FILE`. A band may
            have several files, which will be joined.
        vis: The band that comes first.

    Raises:
        ReadError: If a file is missing or is no FITS file.
        DataError: If no file names its band.
    """
    found: dict[str, list[Picture]] = {}
    for word in words:
        if Path(word).is_dir():
            for band, picture in _in_folder(Path(word)):
                found.setdefault(band, []).append(picture)
            continue
        name, sign, file = word.partition("=")
        path = Path(file if sign else word)
        named = name if sign else _band_of(path)
        if named is None:
            raise DataError(f"{path} does not name its band", fix=f"Write the card FILTER, or say BAND={path}")
        found.setdefault(named.upper(), []).append(Picture(path))
    if not found:
        raise DataError("No mosaic is there", got=", ".join(words), expected="FITS files with a card FILTER")
    return dict(sorted(found.items(), key=lambda item: (item[0] != vis, item[0])))


def read_band(
    band: str, pictures: Sequence[Picture], onto: Mosaic | None = None, *, resample: bool = False, flag_bits: int = -1
) -> Mosaic:
    """One band from its files.

    Args:
        band: Its name.
        pictures: Its files; several are joined, weighted by inverse variance.
        onto: Whose grid it must have.
        resample: Whether pictures on other grids are brought over; else they are refused where they meet others.
        flag_bits: Bits of the flag map that make a pixel bad; -1 for all.

    Raises:
        ReadError: If a file cannot be read.
        GridError: If a file has no projection of the sky, or lies on another grid.
        DataError: If values, noise, zero point or point spread are missing or unusable.
    """
    read = [read_picture(band, picture, flag_bits=flag_bits) for picture in pictures]
    first = read[0] if onto is None else onto
    if resample:
        read = [m if same_grid(first, m) else brought_over(m, first) for m in read]
    return coadd(read) if len(read) > 1 else read[0]


def read_picture(band: str, picture: Picture, *, flag_bits: int = -1) -> Mosaic:
    """One picture, see `read_band`."""
    with _opened(picture.image) as hdus:
        image = next((h for h in hdus if h.is_image and h.data is not None and h.data.ndim == 2), None)
        if image is None:
            raise DataError(f"{picture.image} holds no picture", expected="an image of two axes")
        header, counts = image.header, np.array(image.data, np.float64)
        wcs = package("astropy.wcs").WCS(header)
        noise = _noise(band, picture, hdus)
        flags = _plane(picture.flag, hdus, "FLAG")
        psf = _spread(picture, hdus, counts.shape)
    bad = np.zeros(counts.shape, bool) if flags is None else (flags.astype(np.int64) & flag_bits) != 0
    if noise is None:
        _, rms = background(np.where(np.isfinite(counts), counts, 0), bad | ~np.isfinite(counts))
    else:
        rms, empty = noise
        bad = bad | empty if empty.shape == bad.shape else bad
    if psf is None:
        raise DataError(
            f"{band} has no point spread", got=picture.image, fix="Add a stamp as the extension PSF, its sum is free"
        )
    return make_mosaic(band, counts, rms, psf, wcs, zero_point=_zero_point(band, header), bad=bad)


def _zero_point(band: str, header: Any) -> float:
    for card in ("MAGZERO", "MAGZEROP", "MAG_ZP"):
        if isinstance(header.get(card), int | float):
            return float(header[card])
    if str(header.get("BUNIT", "")).strip() in _MICROJANSKY:
        return 23.9
    raise DataError(
        f"{band} has no zero point",
        got=f"BUNIT {header.get('BUNIT', 'absent')!r}",
        expected="the card MAGZERO, the AB magnitude of one count, or BUNIT = 'uJy'",
    )


def _noise(band: str, picture: Picture, hdus: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Standard deviation, and where a weight of zero says that there are no data; None if the file tells nothing."""
    rms = _plane(picture.rms, hdus, "RMS")
    if rms is not None:
        return rms.astype(np.float64), np.zeros(rms.shape, bool)
    weight = _plane(None, hdus, "WEIGHT")
    if weight is None:
        return None
    if (weight < 0).any() or np.isnan(weight).any():
        raise DataError(
            f"{band} has negative weights or weights that are not numbers",
            got=f"{int((weight < 0).sum())} negative, {int(np.isnan(weight).sum())} not numbers",
            expected="inverse variances, 0 where there are no data",
        )
    empty = weight == 0
    return 1 / np.sqrt(np.where(empty, 1, weight.astype(np.float64))), empty


def _plane(path: Path | None, hdus: Any, name: str) -> np.ndarray | None:
    if path is not None:
        with _opened(path) as other:
            return np.array(next(h.data for h in other if h.is_image and h.data is not None))
    return np.array(hdus[name].data) if name in hdus else None


def _spread(picture: Picture, hdus: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if picture.psf is None:
        return np.array(hdus["PSF"].data, np.float64) if "PSF" in hdus else None
    with _opened(picture.psf) as other:
        image = next((h for h in other if h.is_image and h.data is not None), None)
        table = next((h for h in other if not h.is_image), None)
        if image is None:
            raise DataError(f"{picture.psf} holds no point spread")
        if table is None or "STMPSIZE" not in image.header:
            return np.array(image.data, np.float64)
        names = {name.lower(): name for name in table.columns.names}
        if missing := sorted({"x", "y", "x_center", "y_center"} - set(names)):
            raise DataError(f"{picture.psf} does not say where its stamps stand", got=f"no {', '.join(missing)}")
        places = {key: np.array(table.data[name], float) for key, name in names.items() if key[0] in "xy"}
        return _grid_of_stamps(np.array(image.data, np.float64), int(image.header["STMPSIZE"]), places, shape)


def _grid_of_stamps(
    canvas: np.ndarray, size: int, places: Mapping[str, np.ndarray], shape: tuple[int, ...], cells: int = 4
) -> np.ndarray:
    """Stamps beside each other on a canvas, averaged in cells of the mosaic, `[cells, cells, h, w]`.

    Columns `x`, `y` say where on the mosaic a stamp holds, `x_center`, `y_center` where it stands on the canvas.
    """
    half = size // 2
    total, count = np.zeros((cells, cells, size, size)), np.zeros((cells, cells, 1, 1))
    for x, y, at_x, at_y in zip(*(places[k] for k in ("x", "y", "x_center", "y_center")), strict=True):
        row, col = round(at_y - 1) - half, round(at_x - 1) - half
        stamp = canvas[max(row, 0) : row + size, max(col, 0) : col + size]
        if stamp.shape != (size, size) or not np.isfinite(stamp).all() or stamp.sum() <= 0:
            continue
        cell = tuple(int(np.clip((v - 1) * cells / n, 0, cells - 1)) for v, n in zip((y, x), shape, strict=True))
        total[cell] += stamp / stamp.sum()
        count[cell] += 1
    if not count.any():
        raise DataError("No stamp of the point spread can be used")
    whole = total.sum((0, 1)) / count.sum()
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), whole))


def _in_folder(folder: Path) -> Iterator[tuple[str, Picture]]:
    files = sorted(p for p in folder.rglob("*") if re.search(r"\.fits(\.gz|\.fz)?$", p.name))
    published = [(p, m) for p in files if (m := _PUBLISHED.match(p.name))]
    for path, match in published:
        tile = match["band"]
        parts = {kind: _sibling(files, pattern.format(tile)) for kind, pattern in _SIBLINGS.items()}
        psf = next((p for pattern in _SPREADS if (p := _sibling(files, pattern.format(tile)))), None)
        yield _own_name(tile), Picture(path, psf=psf, **parts)
    for path in files if not published else ():
        if band := _band_of(path):
            yield band.upper(), Picture(path)


def _sibling(files: Sequence[Path], pattern: str) -> Path | None:
    return next((p for p in files if p.match(pattern)), None)


def _own_name(published: str) -> str:
    """Names of bands as the catalogue's columns have them: NIR-Y is Y, DES-G is G_EXT_DECAM."""
    instrument, _, letter = published.partition("-")
    names = {"NIR": letter, "DES": f"{letter}_EXT_DECAM"}
    return names.get(instrument, published.replace("-", "_")) if letter else published


def _band_of(path: Path) -> str | None:
    """The card FILTER of a picture; None for tables."""
    with _opened(path) as hdus:
        image = next((h for h in hdus if h.is_image and h.header.get("NAXIS", 0) == 2), None)
        band = None if image is None else image.header.get("FILTER")
        return str(band).strip() or None if band is not None else None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise ReadError(f"There is no file {path}")
    fits = package("astropy.io.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cards of no standard form are passed over
        try:
            with fits.open(path, memmap=False) as hdus:
                yield hdus
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            if isinstance(error, ReadError | DataError):
                raise
            raise ReadError(f"{path} cannot be read as FITS", got=error, fix="The file may be cut off") from error
