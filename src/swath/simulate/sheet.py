"""Contact sheets: a world through every sensor, season and event, side by side, for the eye to judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from swath.files import replacing
from swath.simulate import events, hyperspectral, moment, rays, sar, thermal, truth, views
from swath.simulate import landcover as lc
from swath.simulate.album import street_near
from swath.simulate.atmosphere import Atmosphere
from swath.simulate.clouds import Sky
from swath.simulate.optical import SENSORS, Image, observe, sensor_grid
from swath.simulate.world import Bounds, World

Panel = tuple[str, np.ndarray]


def write_sheets(world: World, folder: Path | str, size: int = 400) -> list[Path]:
    """Write `sensors.png`, `seasons.png`, `events.png`, `closeups.png` and `views.png` of a world into `folder`."""
    makers: dict[str, Callable[[World], list[Panel]]] = {
        "sensors": sensors,
        "seasons": seasons,
        "events": happenings,
        "closeups": closeups,
        "views": pictures,
    }
    return [sheet(make(world), Path(folder) / f"{name}.png", size) for name, make in makers.items()]


def sheet(panels: list[Panel], path: Path, size: int = 400, across: int = 4) -> Path:
    """Write panels `(title, [h, w, 3] uint8)` as one PNG with titles."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    down = -(-len(panels) // across)
    figure, places = plt.subplots(down, across, figsize=(across * size / 100, down * (size + 20) / 100), squeeze=False)
    for place in places.flat:
        place.axis("off")
    for place, (title, picture) in zip(places.flat, panels, strict=False):
        place.imshow(picture)
        place.set_title(title, fontsize=9)
    figure.tight_layout(pad=0.3)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
    plt.close(figure)
    return path


def stretched(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Values `[H, W]` or `[3, H, W]` as a picture `[H, W, 3]` uint8; ends by default the 1st and 99th percentile."""
    low = float(np.nanpercentile(values, 1)) if low is None else low
    high = float(np.nanpercentile(values, 99)) if high is None else high
    planes = np.broadcast_to(values, (3, *values.shape[-2:])) if values.ndim == 2 else values
    scaled = np.clip((np.nan_to_num(planes) - low) / max(high - low, 1e-9), 0, 1)
    return (255 * np.moveaxis(scaled, 0, -1)).astype(np.uint8)


def coloured(image: Image, names: tuple[str, str, str] = ("red", "green", "blue"), high: float = 0.22) -> np.ndarray:
    """Three bands of an optical image as a picture; reflectance up to `high`, gamma 1.5."""
    order = [image.bands.index(name) for name in names]
    if image.values.dtype == np.uint8:
        return np.moveaxis(image.values[order], 0, -1)
    values = image.bands.decode(image.values)[order]
    return stretched(np.clip(values / high, 0, 1) ** (1 / 1.5), 0, 1)


def legend(codes: np.ndarray) -> np.ndarray:
    """A land-cover mask in the colours of its legend."""
    table = np.zeros((256, 3), np.uint8)
    table[list(lc.CLASSES.codes)] = lc.CLASSES.colours
    return table[codes]


def around(world: World, half: float) -> Bounds:
    """A square around the largest settlement, or the middle of the world, moved into the world."""
    west, south, east, north = world.bounds
    x, y = world.settlements[0].centre if world.settlements else ((west + east) / 2, (south + north) / 2)
    half = min(half, (east - west) / 2, (north - south) / 2)
    x, y = float(np.clip(x, west + half, east - half)), float(np.clip(y, south + half, north - half))
    return x - half, y - half, x + half, y + half


def sensors(world: World) -> list[Panel]:
    """The same place through every sensor."""
    when = moment.at(world, 172)
    wide, near = around(world, 2000), around(world, 200)
    panels = []
    for name, extent in (
        ("sentinel2_l2a", wide),
        ("sentinel2_l1c", wide),
        ("landsat8", wide),
        ("planetscope4", around(world, 600)),
    ):
        camera = SENSORS[name]
        air = Atmosphere(aerosol=0.35) if name == "sentinel2_l1c" else None
        seen = observe(world, camera, when, sensor_grid(world, camera.pixel, extent, camera.origin), air=air)
        panels.append((name + (", haze" if air else ""), coloured(seen, high=0.3 if air else 0.22)))
        if name == "sentinel2_l2a":
            panels.append(("sentinel2_l2a, nir", coloured(seen, ("nir", "red", "green"), 0.45)))
    seen = observe(world, SENSORS["rgb"], when, sensor_grid(world, 0.5, near))
    panels.append(("aerial 0.5 m", coloured(seen)))
    seen = observe(world, SENSORS["naip"], when, sensor_grid(world, 0.6, near))
    panels.append(("naip, nir", coloured(seen, ("nir", "red", "green"))))
    panels.append(("modis 463 m", coloured(observe(world, SENSORS["modis_mod09"], when))))
    cloudy = observe(world, SENSORS["sentinel2_l1c"], when, sensor_grid(world, 10, wide), Sky(cover=0.3, cirrus=0.15))
    panels.append(("clouds and cirrus", coloured(cloudy, high=0.4)))
    panels.append(("B10 cirrus", stretched(cloudy.bands.decode(cloudy.values)[cloudy.bands.index("B10")])))
    mask = np.zeros((*cloudy.grid.shape, 3), np.uint8)
    mask[cloudy.veil.cloudy], mask[cloudy.veil.shaded] = (255, 255, 255), (90, 60, 160)
    panels.append(("cloud and shadow truth", mask))
    radar = sar.backscatter(world, when, grid=sensor_grid(world, 10, wide))
    vv, vh = 10 * np.log10(radar.power)
    panels.append(("VV, VH, VV/VH", stretched(np.stack([(vv + 20) / 20, (vh + 27) / 19, (vv - vh - 2) / 10]), 0, 1)))
    coarse = sensor_grid(world, 20, wide)
    middle = (wide[0] + wide[2]) / 2, (wide[1] + wide[3]) / 2
    later = moment.at(world, 184)
    pair = sar.interferogram(world, when, later, sar.point_source(coarse, middle, 1200, 4e5), grid=coarse)
    panels += [("phase", stretched(pair.phase, -np.pi, np.pi)), ("coherence", stretched(pair.coherence, 0, 1))]
    cloud = hyperspectral.plume(coarse, (wide[0] + 800, middle[1]), 3000, seed=world.seed % 1000)
    cube = hyperspectral.observe(world, when, coarse, (cloud,), hyperspectral.bands(30.0))
    nm = np.array([b.wavelength for b in cube.bands])
    pick = [int(np.argmin(np.abs(nm - w))) for w in (650, 550, 470)]
    panels += [
        ("spectrometer radiance", stretched(cube.radiance[pick])),
        ("methane, ppm m", stretched(cloud.column, 0, 1500)),
    ]
    panels.append(("thermal, noon", stretched(thermal.temperature(world, sensor_grid(world, 10, wide), when))))
    night = moment.at(world, 172, 23.0)
    panels.append(("thermal, night", stretched(thermal.temperature(world, sensor_grid(world, 10, wide), night))))
    panels.append(("night lights", stretched(np.log(thermal.night_lights(world, sensor_grid(world, 100))))))
    dem, dsm = truth.elevation(world, sensor_grid(world, 1.0, near), when)
    panels.append(("DSM - DEM, m", stretched(dsm - dem, 0, 25)))
    lit = sensor_grid(world, 20)
    from swath.simulate.surface import ground

    height = ground(world, lit)
    down, right = np.gradient(height, 20.0)
    panels.append(("terrain", stretched(0.5 - 4 * right + 4 * down + height / 400, 0, 1.5)))
    panels.append(("land cover", legend(truth.landcover_mask(world, sensor_grid(world, 10, wide), when))))
    trees = truth.biomass(world, sensor_grid(world, 30, wide))
    panels.append(("biomass, t/ha", stretched(trees, 0, 300)))
    return panels


def seasons(world: World) -> list[Panel]:
    """The fields and woods through the year, in colour and near infrared."""
    camera, extent = SENSORS["sentinel2_l2a"], around(world, 1500)
    grid = sensor_grid(world, 10, extent)
    panels = []
    for day in (15, 105, 125, 150, 180, 210, 255, 300):
        seen = observe(world, camera, moment.at(world, day), grid)
        panels.append((f"day {day}", coloured(seen)))
        panels.append((f"day {day}, nir", coloured(seen, ("nir", "red", "green"), 0.45)))
    from dataclasses import replace

    snowy = replace(moment.at(world, 20), snow_line=0.0)
    panels.append(("snow", coloured(observe(world, camera, snowy, grid), high=0.9)))
    return panels


def happenings(world: World) -> list[Panel]:
    """Before and after events."""
    before = moment.at(world, 172)
    wide, near = around(world, 2500), around(world, 250)
    x, y = (near[0] + near[2]) / 2, (near[1] + near[3]) / 2
    track = np.array([[x - 2500, y - 400], [x + 2500, y + 400]])
    after = {
        "flood": events.flooded(world, before, 4.0),
        "fire": events.burned(world, before, None, 5.0),
        "felling": events.felled(world, before, 0.12),
        "tornado": events.damaged(before, events.tornado(world, track)),
        "earthquake": events.damaged(before, events.earthquake(world, 6.8, (x, y))),
    }
    camera = SENSORS["sentinel2_l2a"]
    grid = sensor_grid(world, 10, wide)
    panels = [("before", coloured(observe(world, camera, before, grid)))]
    panels += [(name, coloured(observe(world, camera, after[name], grid))) for name in ("flood", "fire", "felling")]
    close = sensor_grid(world, 0.5, near)
    panels.append(("before", coloured(observe(world, SENSORS["rgb"], before, close))))
    panels += [
        (name, coloured(observe(world, SENSORS["rgb"], after[name], close)))
        for name in ("tornado", "earthquake", "flood")
    ]
    return panels


def closeups(world: World) -> list[Panel]:
    """Aerial pictures of 150 m around one place of each kind."""
    when = moment.at(world, 130)
    panels = []
    natural, land, parcels = (world.layer(name) for name in ("natural", "landuse", "parcels"))
    places = {
        **{k: natural[natural["natural"] == k] for k in ("wood", "scrub", "wetland", "beach")},
        "river": natural[natural["water"] == "river"],
        **{k: land[land["landuse"] == k] for k in ("residential", "commercial", "industrial", "park", "farmyard")},
        **{k: parcels[parcels["crop"] == k] for k in ("rapeseed", "vineyard", "orchard")},
    }
    west, south, east, north = world.bounds
    for name, frame in places.items():
        if not len(frame):
            continue
        spot = frame.geometry.iloc[int(np.argsort(frame.area.to_numpy())[-1])].representative_point()
        x, y = float(np.clip(spot.x, west + 76, east - 76)), float(np.clip(spot.y, south + 76, north - 76))
        grid = sensor_grid(world, 0.5, (x - 75, y - 75, x + 75, y + 75))
        panels.append((name, coloured(observe(world, SENSORS["rgb"], when, grid))))
    from swath.simulate import traffic

    fleet = traffic.ships(world, when.time)
    if len(fleet):
        spot = fleet.geometry.iloc[0].centroid
        affine = Affine(2.0, 0, np.round(spot.x / 2) * 2 - 300, 0, -2.0, np.round(spot.y / 2) * 2 + 300)
        seen = observe(world, SENSORS["rgb"], when, GeoBox((1200, 1200), affine @ Affine.scale(0.25), world.grid.crs))
        panels.append(("ship", coloured(seen)))
    return panels


def pictures(world: World) -> list[Panel]:
    """The largest settlement from a drone, from its street, from three sides by satellite; the world from orbit."""
    when = moment.at(world, 172)
    bounds = around(world, 250)
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    land = rays.relief(world, when, bounds, 0.5)
    level = float(np.median(land.ground))
    drone = views.Camera.looking((x - 60, y - 150, level + 110), 20, 55, 500, (480, 480))
    above = views.Camera.looking((x, y, level + 120), 0, 0, 400, (320, 320))
    warm = rays.relief(world, when, around(world, 120), 0.5, heat=True)
    panels = [
        ("drone, oblique", views.photograph(land, drone).values),
        ("drone, thermal", stretched(views.photograph(warm, above).values)),
        ("street", views.panorama(land, street_near(world, x, y)).values),
        ("from orbit", views.from_orbit(world, when)[0].values),
    ]
    for azimuth, off_nadir in ((200.0, 25.0), (20.0, 25.0)):
        satellite = views.Pushbroom.over((x, y, level), azimuth, off_nadir, 0.7, (480, 480))
        panels.append((f"pushbroom from {azimuth:.0f} degrees", views.sweep(land, satellite).values))
    return panels
