"""A user's own data, described in one small YAML, as a collection; or a folder in a published layout.

    name: my land cover
    layers:
      image: {files: "images/*.tif", sensor: sentinel2_l2a, bands: [B02, B03, B04, B08], offset: -0.1}
      radar: {files: {VV: "s1/{id}_vv.tif", VH: "s1/{id}_vh.tif"}, sensor: sentinel1_grd}
    series:
      s2: {files: "s2/{id}_*.tif", sensor: sentinel2_l2a, bands: [B04, B08], time: "%Y%m%d", resolution: 10, size: 64}
    labels: {files: labels.gpkg, attribute: class}
    classes: {1: forest, 2: {name: water, colour: "#3060ff"}}
    ignore: [0, 255]
    crs: EPSG:32633
    time: "%Y%m%d"
    group: "images/([a-z]+)_"
    leave_out: [north_17, "south_*"]
    split: {by: block, size: 2000, buffer: 200, fractions: [0.6, 0.2, 0.2], seed: 0}

Patterns are relative to the YAML (see `swath.data.matching`); a file may be a URL, and a `.json` of a layer is a STAC
item. A list of `files` is several scenes, or with `bands` one file a band. The first layer makes the scenes; files of
other layers and labels belong to the scene with the same fields, or to all scenes where a pattern names one file. Files
of a series are one a date, which `time` finds in their names; each frame keeps its own CRS. With `resolution` (m) and
`size` (px) a series is read on a square of its own around the middle of a patch, without on the patch's grid. Without
layers the first series makes the scenes. Labels of two dates are `files: {before: ..., after: ...}`, for scenes with
the layers `before` and `after`. Each polygon of vector labels is a thing of its own for tasks that tell things apart;
`crowd` names the column that marks groups, and `format: coco` or `format: labelme` reads such JSON, in pixels of the
image. `crs` is for files that lack one; `none` takes all files as pictures. Where a layer or series gives no `offset`,
that of a Sentinel-2 product follows from the processing baseline in its name (`_N0400_`) or STAC item: -0.1 since
04.00. `each: true` in `labels` makes an image of each polygon of a vector file, for classes of whole things
(`each: {margin: 0.1, block: 500}`, see `swath.data.footprints`), and `reviewed: FILE` corrects classes of whole images
(`swath.data.reviews`). Scenes that `leave_out` names by their ids, as a split by `files` does, are not opened. Instead
of layers, `layout: NAME` and `folder: PATH` open a published layout, with another `split:` if one is given.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from odc.geo.geobox import GeoBox

from swath.data import splits
from swath.data.annotations import Annotated, find_picture, picture_labels
from swath.data.checks import check_collection, combined
from swath.data.classes import Classes
from swath.data.coco import read_coco
from swath.data.dates import time_of
from swath.data.description import Description, LayerDescription, patterns, read_description
from swath.data.footprints import decided_classes, labelled_footprints
from swath.data.labelme import read_labelme
from swath.data.labels import RasterLabels
from swath.data.matching import Companions, DatedFiles, Match, match_files
from swath.data.pair_labels import PairLabels
from swath.data.raster import open_raster
from swath.data.readers import read_layout
from swath.data.remote import Url
from swath.data.reviews import reviewed
from swath.data.scenes import PARTS, Collection, Labels, Scene
from swath.data.series import Frame, Series
from swath.data.sources import Source
from swath.data.stac_items import ITEM_SUFFIXES, item_source
from swath.data.stack import StackSource
from swath.data.vectorlabels import VectorLabels
from swath.data.whole_images import ImageLabel
from swath.errors import ConfigError, DataError, ReadError, SwathError
from swath.geo.grids import require_crs
from swath.geo.vectors import read_vectors
from swath.sensors.bands import Bands
from swath.sensors.catalogue import product_baseline, resolve, with_baseline

#: Suffixes of vector files; all others are rasters.
_VECTORS = {".gpkg", ".geojson", ".json", ".shp", ".fgb", ".parquet", ".geoparquet", ".kml", ".gml"}


def load_data(path: str | Path, system: str | None = None) -> Collection:
    """Open a user's data (a YAML file) or a folder in the published layout of a system.

    Args:
        path: The YAML, or the folder.
        system: Id of the system, for a folder.

    Raises:
        ConfigError: If the YAML is wrong, or a folder is given without a system.
        ReadError: If files are missing or damaged.
        DataError: If images, labels and splits do not fit together.
        BandError: If bands or units are wrong.
        GridError: If a CRS is missing or a raster is rotated.
        UnknownNameError: If there is no such sensor or layout.
    """
    path = Path(path)
    if path.is_dir():
        if system is None:
            raise ConfigError(f"{path} is a folder", expected="a YAML, or the name of a system whose layout it has")
        return read_layout(system, path)
    if not path.is_file():
        raise ReadError(f"{path} does not exist", expected="a YAML that describes data, or a folder")
    description = read_description(path)
    if description.layout is not None:
        collection = read_layout(description.layout, description.folder or path.parent)
        collection = replace(collection, name=description.name)
    else:
        collection = check_collection(open_description(description))
    if description.reviewed is not None:
        collection = reviewed(collection, description.reviewed)
    return split_as_described(collection, description.split)


def split_as_described(collection: Collection, split: Mapping[str, Any]) -> Collection:
    """The collection, split as the key `split:` of a description says; as it was where that is empty.

    Raises:
        ConfigError: If a date cannot be read.
        DataError: If a part stays empty, or a list of scenes does not fit.
    """
    options = {key: value for key, value in split.items() if key != "by"}
    match split.get("by"):
        case "block":
            return splits.split_by_block(collection, **options)
        case "group":
            return splits.split_by_group(collection, **options)
        case "source":
            return splits.split_by_source(collection, **options)
        case "time":
            if "boundaries" in options:
                first, second = _two_dates(options.pop("boundaries"))
                return splits.split_by_time(collection, (first, second), **options)
            return splits.split_by_time(collection, **options)
        case "files":
            return splits.split_fixed(collection, _listed_parts(collection, options))
    return collection


def open_description(description: Description) -> Collection:
    """The scenes of a description, not yet checked or split; raises as `load_data`."""
    opener = _Opener(description)
    problems: list[SwathError] = []
    scenes: list[Scene] = []
    for match in opener.matches:
        try:
            scenes += opener.images(match)
        except SwathError as error:
            problems.append(error)
    if problems:
        raise combined(problems, description.name)
    facts = {"origin": "described by the user", **{key: sorted(told) for key, told in opener.facts.items() if told}}
    return Collection(tuple(scenes), description.classes, description.name, facts)


class _Opener:
    """Opens the files of scenes, and notes what a report should say."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._bands = {name: _layer_bands(layer) for name, layer in description.layers.items()}
        self._dated = {name: DatedFiles(description.root, *one.files) for name, one in description.series.items()}
        if description.layers:
            found = match_files(description.root, *next(iter(description.layers.values())).files[0][0])
        else:
            found = list(next(iter(self._dated.values())).scenes.values())
        self.matches = _kept(found, description.leave_out)
        self._files = {
            name: [Companions(description.root, *files) for files, _ in layer.files]
            for name, layer in description.layers.items()
        }
        said = description.labels.get("files", {})
        dates = said if isinstance(said, dict) else {"": said}
        self._labels = [Companions(description.root, *patterns(files)) for files in dates.values()]
        self._shared: dict[Path | Url, Labels] = {}
        self._pictures: dict[Path | Url, dict[str, Annotated]] = {}
        self.facts: dict[str, set[str]] = {"warped": set(), "labels": set(), "offsets": set()}
        root = description.root.resolve()
        companions = [*(c for files in self._files.values() for c in files), *self._labels]
        folders = {path.resolve().parent for c in companions for path in c.paths if isinstance(path, Path)}
        self.facts["folders outside of the data"] = {str(f) for f in folders if not f.is_relative_to(root)}

    def scene(self, match: Match) -> Scene:
        """The scene of a file of the first layer, with its labels."""
        scene = self._bare(match)
        if "field" in self._description.labels:
            return replace(scene, labels=self._label_of_image(match))
        if not self._labels:
            return scene
        labels = [self._labels_of(match, files, scene.grid) for files in self._labels]
        if len(labels) == 1:
            return replace(scene, labels=labels[0])
        before, after = labels
        return replace(scene, labels=PairLabels(before, after, len(self._description.classes or ())))

    def _labels_of(self, match: Match, files: Companions, grid: GeoBox) -> Labels:
        """The labels of a scene, or those of one of its dates."""
        path = files.of(match)
        if path is None:
            raise DataError(
                f"Scene {match.id} has no label file",
                got=files.pattern,
                expected=f"a file for {match.path}",
                fix="Add it, or leave the image out of `files:`",
            )
        if "format" in self._description.labels:
            return self._annotations(path, match, grid)
        return self._open_labels(path, grid)

    def images(self, match: Match) -> Sequence[Scene]:
        """The scene of a file of the first layer, or an image of each thing that its labels outline."""
        said, description = dict(self._description.labels), self._description
        each = said.pop("each", False)
        if not each:
            return [self.scene(match)]
        path = self._labels[0].of(match) if len(self._labels) == 1 else None
        if path is None or path.suffix.casefold() not in _VECTORS or not set(said) <= {"files", "attribute", "layer"}:
            raise ConfigError(
                "`each` cannot make images of these labels",
                got=", ".join(said),
                expected="`files` of vectors with an `attribute`",
            )
        frame = read_vectors(str(path), said.get("layer"), _vector_crs(path, description.crs))
        classes = decided_classes(frame, said.get("attribute", ""), description.classes, description.texts, str(path))
        options = each if isinstance(each, dict) else {}
        return labelled_footprints(self._bare(match), frame, classes, name=str(path), **options)

    def _bare(self, match: Match) -> Scene:
        """The scene without labels."""
        layers: dict[str, Source] = {name: self._layer(name, match) for name in self._description.layers}
        series = {name: self._series(name, match) for name in self._description.series}
        time = time_of(match.path, self._description.time) if layers else None
        scene = Scene(match.id, layers, group=self._group(match), time=time, series=series)
        for name, source in layers.items():
            self._note_warp(f"layer {name}", source.grid.crs, scene.grid)
        for name, one in series.items():
            for frame in one.frames:
                self._note_warp(f"series {name}", frame.source.grid.crs, scene.grid)
        return scene

    def _annotations(self, path: Path | Url, match: Match, grid: GeoBox) -> VectorLabels:
        """Things of a scene's image in a file of COCO or labelme."""
        said, classes, where = self._description.labels, self._description.classes or Classes.of(1), Path(str(path))
        if said["format"] == "labelme":
            picture = read_labelme(where, said.get("width"))
        else:
            if path not in self._pictures:
                self._pictures[path] = read_coco(where)
            picture = find_picture(self._pictures[path], PurePosixPath(match.path.as_posix()), str(path))
        return picture_labels(picture, grid, classes, str(path), self._description.texts, said.get("background"))

    def _label_of_image(self, match: Match) -> ImageLabel:
        """The class of a whole image, which a field of its path names."""
        field, classes = self._description.labels["field"], self._description.classes or Classes.of(1)
        texts = self._description.texts or dict(zip(classes.names, classes.codes, strict=True))
        text = match.fields.get(field)
        if text is None or text not in texts:
            raise DataError(
                f"The path of {match.path} names no class",
                got=f"no field {{{field}}} in `files`" if text is None else text,
                expected=", ".join(texts),
            )
        return ImageLabel(classes.codes.index(texts[text]), str(match.path))

    def _layer(self, name: str, match: Match) -> Source:
        sources = []
        for companions, bands in zip(self._files[name], self._bands[name], strict=True):
            path = companions.of(match)
            if path is None:
                raise ReadError(
                    f"Scene {match.id} lacks a file of layer '{name}'",
                    got=companions.pattern,
                    expected=f"a file for {match.path}",
                )
            source = self._raster(path, bands, "offset" in self._description.layers[name].storage)
            if bands is not None and source.bands[0].offset != bands[0].offset:
                self.facts["offsets"].add(f"layer {name}: {source.bands[0].offset:g}, by processing baseline")
            sources.append(source)
        return sources[0] if len(sources) == 1 else StackSource(sources)

    def _series(self, name: str, match: Match) -> Series:
        described = self._description.series[name]
        bands = resolve(described.sensor, described.bands, **described.storage)
        paths = self._dated[name].of(match)
        if not paths:
            raise ReadError(
                f"Scene {match.id} lacks files of series '{name}'",
                got=self._dated[name].pattern,
                expected=f"at least one for {match.path}",
            )
        pattern = described.time or self._description.time
        frames = []
        for path in paths:
            if (time := time_of(path, pattern)) is None:
                raise ConfigError(f"Series '{name}' does not say where its dates are", expected='`time:`, as "%Y%m%d"')
            frames.append(Frame(time, self._raster(path, bands, "offset" in described.storage)))
        return Series(tuple(frames), described.view)

    def _raster(self, path: Path | Url, bands: Bands | None, offset_given: bool = False) -> Source:
        if path.suffix.casefold() in ITEM_SUFFIXES:
            return item_source(path, bands, offset_given=offset_given)
        if bands is not None and not offset_given:
            bands = with_baseline(bands, product_baseline(str(path)))
        given = self._description.crs
        if given is not None and given.casefold() == "none":
            return open_raster(path, bands=bands, crs="none")
        source = open_raster(path, bands=bands)
        if source.grid.crs is None and given is not None:
            source = open_raster(path, bands=bands, crs=given)
        require_crs(source.grid, source.name)
        return source

    def _open_labels(self, path: Path | Url, grid: GeoBox) -> Labels:
        if path not in self._shared:
            # of many scenes with a file each, none is kept
            if len(self._shared) > 8:
                self._shared.clear()
            self._shared[path] = self._new_labels(path)
        labels = self._shared[path]
        if isinstance(labels, VectorLabels):
            self.facts["labels"] |= set(labels.notes)
            self._note_warp(str(path), labels.crs, grid)
        elif isinstance(labels, RasterLabels):
            if grid.crs is None and labels.grid.shape != grid.shape:
                raise DataError(
                    f"{path} is a picture of another size than its image", got=labels.grid.shape, expected=grid.shape
                )
            self._note_warp(str(path), labels.grid.crs, grid)
        return labels

    def _new_labels(self, path: Path | Url) -> Labels:
        description = self._description
        said, classes = dict(description.labels), description.classes or Classes.of(1)
        vector_only = {"attribute", "layer", "background", "width", "crowd"} & said.keys()
        if path.suffix.casefold() in _VECTORS:
            if "attribute" not in said:
                raise ConfigError(f"The labels {path} need an `attribute`", expected="the column that tells the class")
            options = {key: said[key] for key in vector_only}
            return VectorLabels(
                path, classes=classes, texts=description.texts, crs=_vector_crs(path, description.crs), **options
            )
        if vector_only:
            raise ConfigError(f"{path} is no vector file", got=f"{', '.join(sorted(vector_only))} in `labels`")
        colours = dict(zip(classes.colours, classes.codes, strict=True)) if said.get("colours") else None
        crs = None if self._raster(path, None).grid.crs is not None else description.crs
        return RasterLabels.open(path, classes, colours, crs)

    def _note_warp(self, what: str, crs: object, grid: GeoBox) -> None:
        if grid.crs is not None and crs is not None and crs != grid.crs:
            self.facts["warped"].add(f"{what}: from {_short(crs)} to {_short(grid.crs)}")

    def _group(self, match: Match) -> str | None:
        pattern = self._description.group
        if pattern is None:
            return None
        found = pattern.search(match.path.as_posix())
        if found is None:
            raise ConfigError(f"The path of scene {match.id} has no group", got=match.path, expected=pattern.pattern)
        return found[1] if pattern.groups else found[0]


def _layer_bands(layer: LayerDescription) -> list[Bands | None]:
    return [resolve(layer.sensor, bands, **layer.storage) for _, bands in layer.files]


def _vector_crs(path: Path | Url, crs: str | None) -> str | None:
    """The given CRS, for a vector file that has none."""
    import pyogrio

    if crs is None or crs.casefold() == "none" or "parquet" in path.suffix:
        return None
    try:
        return None if pyogrio.read_info(path).get("crs") else crs
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return None  # the reader says what is wrong with the file


def _short(crs: Any) -> str:
    """A CRS in a few words."""
    plain = getattr(crs, "proj", crs)
    code = plain.to_epsg(min_confidence=25)  # enough to name it
    return f"EPSG:{code}" if code else str(plain.name)


def _two_dates(values: Sequence[Any]) -> tuple[datetime, datetime]:
    try:
        first, second = (
            datetime.combine(v, datetime.min.time()) if type(v) is date else datetime.fromisoformat(str(v))
            for v in values
        )
    except ValueError as error:
        raise ConfigError(
            "The `boundaries` of a split by time cannot be read", got=list(values), expected="two dates, as 2020-12-31"
        ) from error
    return first, second


def _kept(matches: Sequence[Match], leave_out: Sequence[str]) -> list[Match]:
    """The scenes that no pattern of ids leaves out."""
    ids = [match.id for match in matches]
    left_out = {name for pattern in leave_out for name in _called(ids, pattern, "`leave_out`")}
    if len(left_out) == len(matches):
        raise DataError("All scenes are left out", got=", ".join(leave_out))
    return [match for match in matches if match.id not in left_out]


def _called(ids: Sequence[str], pattern: str, where: str) -> list[str]:
    """The ids that a pattern names."""
    found = fnmatch.filter(ids, pattern)
    if not found:
        raise DataError(f"No scene is called as {where} says", got=pattern, expected=f"for example {ids[0]}")
    return found


def _listed_parts(collection: Collection, listed: Mapping[str, str | Sequence[str]]) -> dict[str, str]:
    """The part of each scene, from patterns of ids."""
    parts: dict[str, str] = {}
    ids = [scene.id for scene in collection]
    for part in PARTS:
        for pattern in patterns(listed.get(part, ())):
            found = _called(ids, pattern, f"the {part} part")
            if torn := [name for name in found if parts.get(name, part) != part]:
                raise DataError("A scene is in two parts", got=f"{torn[0]} in {parts[torn[0]]} and {part}")
            parts |= dict.fromkeys(found, part)
    return parts
