"""Words about a scene that follow from its vectors: facts, captions, questions with answers, and a scene graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from swath.simulate import noise, traffic
from swath.simulate.moment import Moment, standing_trees
from swath.simulate.shapes import polygons_of
from swath.simulate.world import Bounds, World

#: What is counted: plural name and singular name.
COUNTED = {"buildings": "building", "roads": "road", "water areas": "water area", "woods": "wood", "fields": "field",
           "ships": "ship", "trees": "tree"}  # fmt: skip
_SIDES = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")


@dataclass(frozen=True)
class Question:
    """A question with its answer.

    Attributes:
        kind: `presence`, `count`, `comparison`, `area`, `relation` or `rural_urban`.
        text: The question.
        answer: `yes`, `no`, a number, a range of areas, a side or a word.
    """

    kind: str
    text: str
    answer: str


@dataclass(frozen=True)
class Relation:
    """An edge of a scene graph: objects by their position in `SceneGraph.objects`."""

    subject: int
    predicate: str
    object: int


@dataclass(frozen=True)
class SceneGraph:
    """Objects with `kind` and `attribute`, and relations between them (`on`, `beside`, `near`, `north of`, ...)."""

    objects: gpd.GeoDataFrame
    relations: tuple[Relation, ...]


@dataclass(frozen=True)
class Facts:
    """What is in a scene.

    Attributes:
        bounds: Where.
        things: Geometries in the scene, cut at its border, by plural name.
        crops: Area of each crop, m2.
        areas: Area of each kind of thing, m2.
    """

    bounds: Bounds
    things: dict[str, np.ndarray]
    crops: dict[str, float]
    areas: dict[str, float]

    def count(self, name: str) -> int:
        """Number of things."""
        return len(self.things[name])

    @property
    def urban(self) -> bool:
        """Whether buildings cover more than a twentieth of the scene."""
        west, south, east, north = self.bounds
        return self.areas["buildings"] > 0.05 * (east - west) * (north - south)


def facts(world: World, bounds: Bounds, moment: Moment) -> Facts:
    """The facts of a scene after what happened in it; pieces of less than 5 m2 (4 m of road) do not count."""
    frame = shapely.box(*bounds)
    today = moment.time.strftime("%Y-%m-%d")
    natural, parcels = world.layer("natural", bounds), world.layer("parcels", bounds)
    houses = world.layer("buildings", bounds)
    fire, flood = (_near(shapes, frame) for shapes in (moment.burned, moment.flooded))
    woods = _without(natural[natural["natural"] == "wood"], [*_near(moment.cleared, frame), *fire])
    water = natural[natural["natural"] == "water"].geometry.to_numpy()
    if flood:  # crowns hide what stands in it
        risen = shapely.difference(shapely.union_all(flood), shapely.union_all(woods))
        water = polygons_of([shapely.union_all([*water, risen])])
    layers = {
        "buildings": houses[houses["start_date"] <= today].geometry.to_numpy(),
        "roads": world.layer("roads", bounds).geometry.to_numpy(),
        "water areas": water,
        "woods": woods,
        "fields": _without(parcels, [*fire, *flood]),
        "ships": traffic.ships(world, moment.time, bounds).geometry.to_numpy(),
        "trees": standing_trees(world, moment, bounds).geometry.to_numpy(),
    }
    things, areas = {}, {}
    for name, shapes in layers.items():
        cut = shapely.intersection(shapes, frame)
        size = shapely.length(cut) / 4 if name == "roads" else shapely.area(cut) / 5
        things[name] = cut[~shapely.is_empty(cut)] if name == "trees" else cut[size > 1]
        areas[name] = float(shapely.area(things[name]).sum())
    inside = shapely.area(shapely.intersection(parcels.geometry.to_numpy(), frame))
    crops = {str(c): float(inside[(parcels["crop"] == c).to_numpy()].sum()) for c in sorted(parcels["crop"].unique())}
    return Facts(bounds, things, crops, areas)


def _near(shapes: Sequence[shapely.Polygon], frame: shapely.Polygon) -> list[shapely.Polygon]:
    return [shape for shape in shapes if shape.intersects(frame)]


def _without(frame: gpd.GeoDataFrame, taken: list[shapely.Polygon]) -> np.ndarray:
    """Geometries of a layer without what an event took of them."""
    shapes = frame.geometry.to_numpy()
    return shapely.difference(shapes, shapely.union_all(taken)) if taken else shapes


def captions(scene: Facts) -> tuple[str, ...]:
    """Sentences about a scene: what it is, what it holds, and where."""
    west, south, east, north = scene.bounds
    extent = (east - west) * (north - south)
    kind = (
        "An urban area"
        if scene.urban
        else "A rural area"
        if scene.areas["water areas"] < 0.6 * extent
        else "Open water"
    )
    main = [name for name in ("buildings", "water areas", "woods", "fields") if scene.count(name)]
    listed = [_counted(scene.count(n), n) for n in main]
    sentences = [f"{kind} with {_joined(listed)}." if listed else f"{kind}."]
    big = max(("woods", "fields", "water areas"), key=lambda n: scene.areas[n])
    if scene.areas[big] > 0.25 * extent:
        word = {"woods": "forest", "fields": "farmland", "water areas": "water"}[big]
        sentences.append(f"About {round(100 * scene.areas[big] / extent, -1):.0f} percent of the scene is {word}.")
    if scene.count("water areas"):
        side = _side(scene, scene.things["water areas"])
        sentences.append(f"There is water in the {side} of the scene.")
    if scene.crops and max(scene.crops.values()) > 0:
        crop = max(scene.crops, key=lambda c: scene.crops[c]).replace("_", " ")
        sentences.append(f"The most common crop is {crop}.")
    if scene.count("ships"):
        sentences.append(f"{_counted(scene.count('ships'), 'ships').capitalize()} can be seen.")
    return tuple(sentences)


def questions(scene: Facts, seed: int = 0) -> tuple[Question, ...]:
    """Questions of all kinds about a scene, in a fixed order."""
    rng = noise.rng("questions", seed, *(round(b, 2) for b in scene.bounds))
    names = list(COUNTED)
    made = [Question("rural_urban", "Is it a rural or an urban area?", "urban" if scene.urban else "rural")]
    for name in names:
        article = "Is there a" if name != "water areas" else "Is there any"
        thing = COUNTED[name] if name != "water areas" else "water"
        made.append(Question("presence", f"{article} {thing} in the image?", _yes(scene.count(name) > 0)))
        if name != "trees":
            made.append(Question("count", f"How many {name} are there?", str(scene.count(name))))
    for _ in range(4):
        a, b = rng.choice(names, 2, replace=False)
        made.append(Question("comparison", f"Are there more {a} than {b}?", _yes(scene.count(a) > scene.count(b))))
    made += [
        Question("area", f"What is the area covered by {name}?", area_answer(scene.areas[name]))
        for name in ("buildings", "woods", "water areas", "fields")
    ]
    made += _relations(scene)
    return tuple(made)


def area_answer(area: float) -> str:
    """An area in the bins of RSVQA (Lobry et al. 2020), widened for large scenes."""
    if area <= 0:
        return "0m2"
    steps = (0, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
    for low, high in itertools.pairwise(steps):
        if area <= high:
            return f"between {low}m2 and {high}m2"
    return "more than 1000000m2"


def scene_graph(world: World, bounds: Bounds, moment: Moment, near: float = 25.0) -> SceneGraph:
    """Objects of a scene and how they lie to each other; predicates hold exactly on the geometries."""
    parts = []
    today = moment.time.strftime("%Y-%m-%d")
    layers: dict[str, Callable[[], gpd.GeoDataFrame]] = {
        "building": lambda: (
            world.layer("buildings", bounds)
            .loc[lambda f: f["start_date"] <= today]
            .assign(attribute=lambda f: f["building"])
        ),
        "road": lambda: world.layer("roads", bounds).assign(attribute=lambda f: f["highway"]),
        "water": lambda: _waters(world, bounds, moment),
        "field": lambda: world.layer("parcels", bounds).assign(attribute=lambda f: f["crop"]),
        "ship": lambda: traffic.ships(world, moment.time, bounds).assign(attribute=lambda f: f["kind"]),
        "vehicle": lambda: traffic.vehicles(world, bounds, moment.time).assign(attribute=lambda f: f["kind"]),
    }
    for kind, get in layers.items():
        frame = get()
        if len(frame):
            shapes = frame.geometry
            if kind == "road":
                shapes = shapes.buffer(frame["width"] / 2)
            parts.append(
                gpd.GeoDataFrame(
                    {"kind": kind, "attribute": frame["attribute"].to_numpy(), "index": frame.index.to_numpy()},
                    geometry=shapes.to_numpy(),
                )
            )
    if not parts:
        return SceneGraph(gpd.GeoDataFrame({"kind": [], "attribute": [], "index": []}, geometry=[]), ())
    objects = pd.concat(parts, ignore_index=True).set_crs(world.config.crs)
    shapes, kinds = objects.geometry.to_numpy(), objects["kind"].to_numpy()
    tree = shapely.STRtree(shapes)
    relations = []
    for subject, predicate, target in (
        ("vehicle", "on", "road"), ("ship", "in", "water"), ("building", "beside", "road"), ("field", "beside", "road"),
        ("building", "near", "water"), ("building", "near", "building"),
    ):  # fmt: skip
        mine = np.flatnonzero(kinds == subject)
        rule, reach = {"on": ("intersects", {}), "in": ("within", {})}.get(predicate, ("dwithin", {"distance": near}))
        a, b = tree.query(shapes[mine], rule, **reach)
        pairs = zip(mine[a], b, strict=True)
        relations += [Relation(int(i), predicate, int(j)) for i, j in pairs if kinds[j] == target and i != j]
    return SceneGraph(objects, tuple(sorted(relations, key=lambda r: (r.subject, r.object, r.predicate))))


def _waters(world: World, bounds: Bounds, moment: Moment) -> gpd.GeoDataFrame:
    """Water of the vector layer, and floods, whose index is -1."""
    water = world.layer("natural", bounds).query("natural == 'water'").assign(attribute=lambda f: f["water"])
    flood = _near(moment.flooded, shapely.box(*bounds))
    if not flood:
        return water
    risen = gpd.GeoDataFrame({"attribute": "flood"}, geometry=flood, index=[-1] * len(flood), crs=water.crs)
    return pd.concat([water, risen])


def _relations(scene: Facts) -> list[Question]:
    """Where the largest thing lies, whether something is near water, and which of two lies further north."""
    made = []
    for name in ("water areas", "woods"):
        if scene.count(name):
            largest = scene.things[name][[int(np.argmax(shapely.area(scene.things[name])))]]
            made.append(Question("relation", f"Where is the largest {COUNTED[name]}?", _side(scene, largest)))
    houses, water = scene.things["buildings"], scene.things["water areas"]
    if len(houses) and len(water):
        close = bool((shapely.distance(shapely.union_all(water), houses) < 50).any())
        made.append(Question("relation", "Is there a building within 50 metres of water?", _yes(close)))
    roads = scene.things["roads"]
    if len(houses) and len(roads):
        share = float((shapely.distance(shapely.union_all(roads), houses) < 30).mean())
        made.append(Question("relation", "Are most buildings within 30 metres of a road?", _yes(share > 0.5)))
    return made


def _side(scene: Facts, shapes: np.ndarray) -> str:
    """Side of the scene on which the middle of `shapes` lies; `centre` within a sixth of its size."""
    west, south, east, north = scene.bounds
    middle = shapely.centroid(shapely.union_all(shapes))
    x, y = (middle.x - west) / (east - west) - 0.5, (middle.y - south) / (north - south) - 0.5
    if np.hypot(x, y) < 1 / 6:
        return "centre"
    return _SIDES[int(np.round(np.arctan2(y, x) / (np.pi / 4))) % 8]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _counted(count: int, plural: str) -> str:
    return f"one {COUNTED[plural]}" if count == 1 else f"{count} {plural}"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
