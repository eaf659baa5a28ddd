"""STAC items as sources: assets of an item as one stack of bands; items from files, URLs, catalogues and searches."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.data.raster import open_raster
from swath.data.remote import is_remote
from swath.data.scenes import Collection, Scene
from swath.data.sources import Source
from swath.data.stack import StackSource
from swath.errors import BandError, ConfigError, DataError, MissingExtraError, ReadError
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import with_baseline

if TYPE_CHECKING:
    import pystac

#: Suffixes by which a file is taken for an item.
ITEM_SUFFIXES = (".json", ".geojson")
#: Seconds before a catalogue that does not answer is given up, and how often it is asked again.
_TIMEOUT, _RETRIES = 30, 3


def item_source(where: str | Path | pystac.Item, bands: Bands | None = None, *, offset_given: bool = False) -> Source:
    """The assets of one item as one source.

    Args:
        where: An item, its file or its URL.
        bands: What to take: assets whose key, or whose band's name or common name, is the name or an alias of the band;
            or an asset that holds all of them. None takes the item's only raster.
        offset_given: Whether `bands` tell the offset of stored numbers; otherwise that of Sentinel-2 follows from the
            processing baseline which the item tells.

    Raises:
        ReadError: If there is no such item, or an asset cannot be read.
        BandError: If a band is in no asset.
    """
    item = _item(where)
    if bands is not None and not offset_given:
        bands = with_baseline(bands, _baseline(item))
    assets = {key: asset for key, asset in item.assets.items() if _is_raster(asset)}
    if not assets:
        raise ReadError(f"The STAC item {item.id} has no raster", got=", ".join(item.assets) or "no assets")
    if bands is None or len(assets) == 1:
        if len(assets) > 1:
            raise ConfigError(
                f"The STAC item {item.id} has several rasters", got=", ".join(assets), fix="Name the bands to take"
            )
        return open_raster(_address(next(iter(assets.values()))), bands=bands)
    sources = [
        open_raster(_address(_asset(assets, band, item.id)), bands=Bands(bands.sensor, (band,))) for band in bands
    ]
    return sources[0] if len(sources) == 1 else StackSource(sources, name=item.id)


def item_scene(where: str | Path | pystac.Item, bands: Bands | None = None, layer: str = "image") -> Scene:
    """One item as a scene with its time; see `item_source`."""
    item = _item(where)
    return Scene(item.id, {layer: item_source(item, bands)}, time=_time(item))


def item_time(where: str | Path) -> datetime | None:
    """Time of an item in UTC; None where it has only a range."""
    return _time(_item(where))


def items_of(
    catalogue: str | Path,
    bbox: Sequence[float] | None = None,
    between: tuple[datetime, datetime] | None = None,
    collections: Sequence[str] = (),
    limit: int = 100,
) -> list[pystac.Item]:
    """Items of a static catalogue, or of a STAC API by search, ordered by time.

    Args:
        catalogue: File or URL of a catalogue or collection, or the root of an API.
        bbox: West, south, east, north in degrees; items that touch it.
        between: First and last time.
        collections: Ids of collections; by default all.
        limit: Most items to take.

    Raises:
        ReadError: If the catalogue cannot be read.
        DataError: If no item is found.
    """
    root = _read(str(catalogue), "catalogue")
    if _is_api(root):
        found = _search(str(catalogue), bbox, between, collections, limit)
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Falling back to pystac")  # a static catalogue is walked, as is said
            found = [i for i in root.get_items(recursive=True) if _wanted(i, bbox, between, collections)]
    if not found:
        raise DataError(
            f"No item of {catalogue} fits", got=f"bbox {bbox}, times {between}, collections {list(collections)}"
        )
    return sorted(found, key=lambda item: (str(item.datetime), item.id))[:limit]


def item_collection(items: Iterable[pystac.Item], bands: Bands | None = None, name: str = "STAC items") -> Collection:
    """Items as scenes, unlabelled."""
    return Collection(tuple(item_scene(item, bands) for item in items), name=name)


def _item(where: str | Path | pystac.Item) -> pystac.Item:
    return _read(str(where), "item") if isinstance(where, str | Path) else where


def _read(where: str, kind: str) -> Any:
    import pystac

    kinds: Mapping[str, tuple[type, ...]] = {"item": (pystac.Item,), "catalogue": (pystac.Catalog,)}
    try:
        found = pystac.read_file(where, stac_io=_reader(where))
    except MissingExtraError:
        raise
    except Exception as error:  # whatever a damaged or hostile document may break
        reason = f"{type(error).__name__} {error}".splitlines()[0][:200]
        raise ReadError(f"{where} cannot be read as STAC {kind}", got=reason) from error
    if not isinstance(found, kinds[kind]):
        raise ReadError(f"{where} is no STAC {kind}", got=type(found).__name__)
    return found


def _reader(where: str) -> Any:
    """What reads documents: for URLs one with time-outs and retries."""
    if not is_remote(where):
        return None
    try:
        from pystac_client.stac_api_io import StacApiIO
        from urllib3 import Retry
    except ImportError as error:
        raise MissingExtraError("pystac_client", "remote") from error
    again = Retry(_RETRIES, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    return StacApiIO(timeout=_TIMEOUT, max_retries=again)


def _is_api(root: Any) -> bool:
    return any(link.rel == "search" for link in root.links)


def _search(
    url: str,
    bbox: Sequence[float] | None,
    between: tuple[datetime, datetime] | None,
    collections: Sequence[str],
    limit: int,
) -> list[pystac.Item]:
    from pystac_client import Client

    try:
        client = Client.open(url, stac_io=_reader(url))
        search = client.search(
            bbox=None if bbox is None else list(bbox),
            datetime=None if between is None else list(between),
            collections=list(collections) or None,
            max_items=limit,
        )
        return list(search.items())
    except Exception as error:  # of requests, of JSON, of the API
        raise ReadError(f"The search in {url} failed", got=f"{type(error).__name__} {error}".splitlines()[0]) from error


def _wanted(
    item: pystac.Item,
    bbox: Sequence[float] | None,
    between: tuple[datetime, datetime] | None,
    collections: Sequence[str],
) -> bool:
    if collections and item.collection_id not in collections:
        return False
    time = _time(item)
    if between is not None and (time is None or not _utc(between[0]) <= time <= _utc(between[1])):
        return False
    if bbox is None or item.bbox is None:
        return bbox is None
    west, south, east, north = item.bbox if len(item.bbox) == 4 else (*item.bbox[:2], *item.bbox[3:5])
    return west <= bbox[2] and east >= bbox[0] and south <= bbox[3] and north >= bbox[1]


def _baseline(item: pystac.Item) -> float | None:
    """Processing baseline of a Sentinel-2 item, or 0 where its offset was taken away since; None where none is told."""
    if item.properties.get("earthsearch:boa_offset_applied"):
        return 0.0
    told = item.properties.get("s2:processing_baseline", item.properties.get("processing:version", ""))
    try:
        return float(told)
    except (TypeError, ValueError):
        return None


def _time(item: pystac.Item) -> datetime | None:
    return None if item.datetime is None else _utc(item.datetime)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _is_raster(asset: pystac.Asset) -> bool:
    kind = (asset.media_type or "").casefold()
    if kind:
        return kind.startswith("image/") and "thumbnail" not in (asset.roles or ())
    return asset.href.casefold().endswith((".tif", ".tiff", ".jp2", ".vrt"))


def _address(asset: pystac.Asset) -> str:
    """Where an asset is; an item from elsewhere may not name files of this machine."""
    address = asset.get_absolute_href() or asset.href
    home = asset.owner.get_self_href() if asset.owner is not None else None
    if home is not None and is_remote(home) and not is_remote(address):
        raise ReadError(f"The STAC item {home} names a file of this machine", got=address, expected="a URL")
    return address


def _asset(assets: Mapping[str, pystac.Asset], band: Band, item: str) -> pystac.Asset:
    """The asset of a band: by its key, or by what the asset says of its only band."""
    for key, asset in assets.items():
        if any(band.called(name) for name in (key, *_names(asset))):
            return asset
    raise BandError(
        f"The STAC item {item} has no asset of band '{band.name}'",
        got=", ".join(assets),
        expected=" or ".join((band.name, *band.aliases)),
    )


def _names(asset: pystac.Asset) -> Iterator[str]:
    described = [*asset.extra_fields.get("eo:bands", ()), *asset.extra_fields.get("bands", ())]
    for entry in described if len(described) == 1 else ():
        yield from (str(entry[key]) for key in ("name", "common_name", "eo:common_name") if key in entry)
