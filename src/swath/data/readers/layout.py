"""Published layouts as data: a declaration says where files are and what they hold, and one engine reads them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swath.data.checks import check_collection
from swath.data.classes import Classes, Colour
from swath.data.labels import RasterLabels
from swath.data.matching import Companions, Match, match_files, paired
from swath.data.raster import open_raster
from swath.data.remote import Url
from swath.data.scenes import PARTS, Collection, Labels, Scene
from swath.data.sources import Source, require_dtype
from swath.data.whole_images import ImageLabel
from swath.errors import DataError, ReadError, some
from swath.geo.grids import require_crs, same_grid
from swath.sensors.bands import Bands


@dataclass(frozen=True)
class Images:
    """One layer of a layout.

    Attributes:
        files: Patterns of its files (`swath.data.matching`).
        bands: What each file holds.
        dtype: Type of its numbers.
    """

    files: tuple[str, ...]
    bands: Bands
    dtype: str = "uint8"


@dataclass(frozen=True)
class Layout:
    """A published layout.

    Attributes:
        name: For reports.
        layers: The layers; files of the first make the scenes, those of others have the same fields.
        classes: The legend.
        masks: Patterns of the label files; none where there are no labels.
        colours: Code of each colour of the masks; None where they hold codes.
        named: Class of each text of the field `class`, where a folder says what a whole image shows.
        pictures: Whether files have no CRS; otherwise each needs one.
        group: What must not be torn apart, made of fields: `{tile}`.
        parts: Part of each text of the field `split`, where the folders are split.
        lists: Files with an id a line, for each part, where lists are published; scenes in no list are left out.
        split: How to split, where nothing is published.
        facts: What a report should say: origin, licence, departures.
    """

    name: str
    layers: Mapping[str, Images]
    classes: Classes
    masks: tuple[str, ...] = ()
    colours: Mapping[Colour, int] | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    pictures: bool = False
    group: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    split: Callable[[Collection], Collection] | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    def read(self, root: str | Path) -> Collection:
        """Open a folder in this layout; pixels are read when they are needed, but for a few that are checked.

        Raises:
            ReadError: If the folder or a file is missing or damaged.
            DataError: If images, masks and lists do not fit together, a file is of another type or size, or masks hold
                numbers or colours that are no class.
            GridError: If a CRS is missing.
            BandError: If a file has other bands.
        """
        root = Path(root)
        if not root.is_dir():
            raise ReadError(f"{root} does not exist", expected=f"a folder with {self.name}")
        first, *others = self.layers.values()
        matches = match_files(root, *first.files)
        companions = [Companions(root, *layer.files) for layer in others]
        masks = Companions(root, *self.masks) if self.masks else None
        for what, files in zip([*list(self.layers)[1:], "mask"], [*companions, masks], strict=True):
            if files is not None:
                paired(matches, files, what, root)
        parts = self._listed(root, [match.id for match in matches]) if self.lists else None
        scenes = [
            self._scene(match, companions, masks, None if parts is None else parts[match.id])
            for match in matches
            if parts is None or match.id in parts
        ]
        facts: dict[str, object] = dict(self.facts)
        if parts is not None:
            facts |= {"split": "published lists", "scenes in no list": len(matches) - len(scenes)}
        elif self.parts:
            facts |= {"split": "published folders"}
        collection = check_collection(Collection(tuple(scenes), self.classes, self.name, facts))
        return collection if self.split is None else self.split(collection)

    def _scene(
        self, match: Match, companions: Sequence[Companions], masks: Companions | None, part: str | None
    ) -> Scene:
        paths = [match.path, *(path for files in companions if (path := files.of(match)) is not None)]
        layers = {
            name: self._image(path, layer) for (name, layer), path in zip(self.layers.items(), paths, strict=True)
        }
        if self.parts:
            part = self.parts.get(match.fields["split"])
            if part is None:
                raise DataError(
                    f"{match.path} is in a folder of no part", got=match.fields["split"], expected=list(self.parts)
                )
        labels: Labels | None = None
        if masks is not None:
            labels = self._labels(masks.of(match), next(iter(layers.values())))
        elif self.named:
            labels = self._label_of_image(match)
        group = self.group.format(**match.fields) if self.group else None
        return Scene(match.id, layers, labels, group=group, part=part)

    def _label_of_image(self, match: Match) -> ImageLabel:
        name = self.named.get(match.fields["class"])
        if name is None:
            raise DataError(f"{match.path} is in a folder of no class", got=match.fields["class"], expected=self.named)
        return ImageLabel(self.classes.names.index(name), str(match.path))

    def _image(self, path: Path | Url, layer: Images) -> Source:
        source = open_raster(path, bands=layer.bands, crs="none" if self.pictures else None)
        require_dtype(source, layer.dtype)
        if not self.pictures:
            require_crs(source.grid, str(path))
        return source

    def _labels(self, path: Path | Url | None, image: Source) -> RasterLabels:
        if path is None:
            raise DataError(f"{image.name} has no mask")
        labels = RasterLabels.open(path, self.classes, self.colours, "none" if self.pictures else None)
        if not same_grid(labels.grid, image.grid):
            raise DataError(
                f"{path} is not on the pixels of its image",
                got=f"{labels.grid.shape[0]} x {labels.grid.shape[1]} pixels at {tuple(labels.grid.affine[:6])}",
                expected=f"{image.grid.shape[0]} x {image.grid.shape[1]} at {tuple(image.grid.affine[:6])}",
            )
        return labels

    def _listed(self, root: Path, ids: Sequence[str]) -> dict[str, str]:
        """Part of each listed scene."""
        parts: dict[str, str] = {}
        for part in PARTS:
            if part not in self.lists:
                continue
            path = root / self.lists[part]
            try:
                names = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise ReadError(f"{path} cannot be read", got=error, expected="an id of a scene a line") from error
            if doubled := sorted((set(names) & parts.keys()) | {n for n in names if names.count(n) > 1}):
                raise DataError(f"{path} names scenes that are listed already", got=some(doubled))
            parts |= dict.fromkeys(names, part)
        if lost := sorted(parts.keys() - set(ids)):
            raise DataError(f"The lists of {root} name scenes that are not there", got=some(lost))
        return parts
