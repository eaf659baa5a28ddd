"""What clients may ask for, checked field by field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: A file or folder as clients call it: `ROOT/part/part`.
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\\]+$")]
#: The value of an option on a command line; neither a path nor a flag.
Value = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9+.,_ ]([A-Za-z0-9+.,_? -]*)$")]
#: A system, or a form of it, `id:form`.
System = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,80}(:[a-z0-9_]{1,80})?$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,60}$")]
Options = Annotated[dict[Word, Value], Field(default_factory=dict, max_length=40)]
Files = Annotated[dict[Word, Name], Field(default_factory=dict, max_length=40)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Box = tuple[Longitude, Latitude, Longitude, Latitude]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PredictRequest(_Request):
    """Apply a run, or a system that needs no training: to rasters, on all of them or in a box, or to another source.

    Attributes:
        run: The run; null for a system that needs no training.
        system: That system.
        scene: Rasters that hold the task's bands one after the other; none where there is a source.
        source: What a task takes that is no raster: a YAML that describes data, a table, a cube, a folder.
        part: The scene of the YAML that is meant, if it has several.
        output: The main product; the suffix is one that the task writes.
        box: West, south, east, north.
        products: What is written; those that the task writes unasked where empty.
        options: Options of the task's `predict`, as on the command line.
        files: Options that name a file.
    """

    run: Name | None = None
    system: System | None = None
    scene: list[Name] = Field(default_factory=list, max_length=40)
    source: Name | None = None
    part: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f/\\]+$")] | None = None
    output: Name
    box: Box | None = None
    products: list[Word] = Field(default_factory=list, max_length=10)
    options: Options
    files: Files


class FitRequest(_Request):
    """Train a system.

    Attributes:
        system: Id of the system, or `id:form`.
        data: A YAML that describes data, or a folder in the system's layout.
        output: Folder of the run.
        options: Options of the builder, the recipe and the task's `fit`, as on the command line.
        files: Options that name a file, for example `weights`.
    """

    system: System
    data: Name
    output: Name
    options: Options
    files: Files


class ScoreRequest(_Request):
    """Score a run.

    Attributes:
        run: The run.
        data: A YAML that describes data, or a folder in the system's layout.
    """

    run: Name
    data: Name


class ClassName(_Request):
    """A class of the legend.

    Attributes:
        name: For people and for the column `class`.
        colour: `#rrggbb`.
    """

    name: str = Field(min_length=1, max_length=200)
    colour: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")


class DataRequest(_Request):
    """Describe images and labels as data that `swath fit` reads.

    Attributes:
        output: The YAML.
        images: Rasters with the same bands.
        labels: A GeoPackage with a column `class`, or a raster of classes.
        classes: The legend; of vectors by name, of rasters in the order of their codes from 1.
        sensor: Name of the sensor, or `custom`.
        unit: Of custom bands.
        background: Class of all ground that has no label.
        block: Edge of the blocks that are dealt to the parts, in metres.
    """

    output: Name
    images: list[Name] = Field(min_length=1, max_length=200)
    labels: Name
    classes: list[ClassName] = Field(min_length=1, max_length=100)
    sensor: str = Field(default="custom", pattern=r"^[a-z0-9_]{1,40}$")
    unit: str = Field(default="dn", pattern=r"^[A-Za-z0-9]{1,20}$")
    background: str | None = Field(default=None, max_length=200)
    block: float = Field(default=500, gt=0, le=1e6)


class LabelsRequest(_Request):
    """The new state of a file of drawn labels, as GeoJSON.

    Attributes:
        type: Always `FeatureCollection`.
        features: Features with `class` among their properties.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]] = Field(max_length=50_000)


class CompareRequest(_Request):
    """Compare two class maps.

    Attributes:
        first: A class map.
        second: Another one.
        labels: The truth, if there is one.
    """

    first: Name
    second: Name
    labels: Name | None = None
