"""Pictures of bright discs on noise, some of which touch, with the outline of each: things for tests to find."""

import geopandas as gpd
import numpy as np
import shapely

from swath.data.classes import Classes
from swath.data.scenes import Collection, Scene
from swath.data.sources import ArraySource
from swath.data.vectorlabels import VectorLabels
from swath.geo.grids import pixel_grid
from swath.sensors.bands import Band, Bands

BANDS = Bands("custom", (Band("a", "1"), Band("b", "1")))
CLASSES = Classes.of(["small", "large"])


def discs(number, part, size=64, count=6):
    """A scene of discs of two sizes; the second of each pair touches the first."""
    generator = np.random.default_rng(number)
    rows, cols = np.mgrid[0:size, 0:size] + 0.5
    values = generator.normal(0, 0.3, (2, size, size))
    shapes, kinds = [], []
    for _ in range(count):
        kind = int(generator.integers(0, 2))
        radius = (5, 8)[kind] * generator.uniform(0.9, 1.1)
        x, y = generator.uniform(radius, size - radius, 2)
        if any(shape.distance(shapely.Point(x, y)) < radius - 1 for shape in shapes):
            continue
        shapes.append(shapely.Point(x, y).buffer(radius, quad_segs=32))
        kinds.append(kind)
        inside = (rows - y) ** 2 + (cols - x) ** 2 < radius**2
        values[:, inside] += np.array([2.0, 1.0 - kind])[:, None]
    # a picture's grid has its rows downward: y is negative
    frame = gpd.GeoDataFrame({"kind": kinds}, geometry=[shapely.transform(s, lambda xy: xy * [1, -1]) for s in shapes])
    image = ArraySource(values.astype(np.float32), BANDS, pixel_grid(size, size))
    return Scene(f"s{number}", {"image": image}, VectorLabels(frame, "kind", CLASSES), part=part)


def collection(train=6, val=1, test=4, **options):
    """Scenes of discs by part."""
    parts = ["train"] * train + ["val"] * val + ["test"] * test
    return Collection(tuple(discs(n, part, **options) for n, part in enumerate(parts)), CLASSES, "discs")
