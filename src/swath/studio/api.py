"""The routes of Studio's server below `/api`."""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

from swath import __version__, registry
from swath.errors import ConfigError
from swath.studio import compare, labels, orders, tables, vectors
from swath.studio.inspect import values_at
from swath.studio.jobs import Job, Jobs
from swath.studio.layers import describe
from swath.studio.listing import listing, runs_below
from swath.studio.progress import picture_so_far
from swath.studio.requests import (
    CompareRequest,
    DataRequest,
    FitRequest,
    LabelsRequest,
    Name,
    PredictRequest,
    ScoreRequest,
)
from swath.studio.roots import OWN, Roots
from swath.studio.runs import describe_run
from swath.studio.tiles import COLOUR_MAPS, Style, Tiles, colour_stops

File = Annotated[Name, Query(description="ROOT/part/part, as /api/files names it")]
Zoom = Annotated[int, Path(ge=0, le=24)]
Number = Annotated[int, Path(ge=0, lt=1 << 24)]
Numbers = Annotated[str, Query(max_length=200, pattern=r"^$|^-?[0-9.eE+-]+(,-?[0-9.eE+-]+){0,2}$")]
#: Seconds between looks at the jobs for who watches them.
_LOOK = 0.5
_PNG: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"image/png": {}}, "description": "A picture"}},
}
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
#: Names of downloads that a browser would run as a page of ours.
_ATTACHED = "application/octet-stream"


def routes(roots: Roots, jobs: Jobs) -> APIRouter:
    """All routes, for the folders and jobs that are served."""
    api = APIRouter(prefix="/api", responses={code: {"description": text} for code, text in _ERRORS.items()})
    tiles = Tiles()
    # As many as there are processors: more would only hold more files open.
    workers = ThreadPoolExecutor(max(2, os.cpu_count() or 2), "swath-tiles")

    def shown(job: Job) -> dict[str, Any]:
        return {**jobs.shown(job), "products": orders.products(job, roots)}

    @api.get("/about")
    def about() -> dict[str, Any]:
        """Version, served folders, colour maps."""
        return {
            "version": __version__, "roots": roots.names, "own": f"{roots.names[0]}/{OWN}",
            "colour_maps": {name: colour_stops(name) for name in COLOUR_MAPS},
        }  # fmt: skip

    @api.get("/files")
    def files(path: File) -> dict[str, Any]:
        """What is in a folder; broken files with the reason."""
        return listing(roots, path)

    @api.get("/layer")
    def layer(path: File) -> dict[str, Any]:
        """What must be known of a raster to show it."""
        return {**describe(roots.path(path)), "path": path}

    @api.get("/tiles/{z}/{x}/{y}", **_PNG)
    async def tile(
        z: Zoom, x: Number, y: Number, path: File, bands: Numbers = "", low: Numbers = "", high: Numbers = "",
        colours: Annotated[str, Query(pattern="^[a-z_]{1,30}$")] = "gray", v: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:  # fmt: skip
        """A tile of a raster, 256 pixels of the web's map projection, PNG; `v` is the layer's version, for caches."""
        style = Style(tuple(int(n) for n in _numbers(bands)), _numbers(low), _numbers(high), colours)
        file = roots.path(path)
        made = await asyncio.get_running_loop().run_in_executor(workers, tiles.tile, file, z, x, y, style)
        return Response(made, media_type="image/png", headers=_FOREVER if v else {"cache-control": "no-cache"})

    @api.get("/difference/{z}/{x}/{y}", **_PNG)
    async def difference(z: Zoom, x: Number, y: Number, first: File, second: File) -> Response:
        """A tile of where two class maps differ."""
        one, two = roots.path(first), roots.path(second)
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(workers, compare.difference_tile, one, two, z, x, y)
        return Response(made, media_type="image/png", headers={"cache-control": "no-cache"})

    @api.get("/values")
    def values(
        lon: Annotated[float, Query(ge=-180, le=180)],
        lat: Annotated[float, Query(ge=-90, le=90)],
        path: Annotated[list[Name], Query(min_length=1, max_length=100)],
    ) -> list[dict[str, Any] | None]:
        """What each raster holds at a place; null outside of it."""
        found = [values_at(roots.path(name), lon, lat) for name in path]
        return [None if one is None else {**one, "path": name} for one, name in zip(found, path, strict=True)]

    @api.get("/vector")
    def vector(path: File, layer: Annotated[str | None, Query(max_length=200)] = None) -> Response:
        """A layer of a vector file as GeoJSON."""
        found = vectors.geojson(roots.path(path), layer)
        return Response(json.dumps(found), media_type="application/geo+json", headers={"cache-control": "no-cache"})

    @api.get("/table")
    def table(path: File) -> dict[str, Any]:
        """The first rows of a CSV."""
        return tables.head(roots.path(path))

    @api.get("/download")
    def download(path: File) -> FileResponse:
        """A file as it is."""
        found = roots.path(path)
        if not found.is_file() or found.name.startswith("."):
            raise ConfigError("Only files can be downloaded", got=path)
        return FileResponse(found, filename=found.name, media_type=_ATTACHED)

    @api.get("/runs")
    def runs() -> list[dict[str, Any]]:
        """All runs below the served folders."""
        return [{"path": roots.name(folder), "name": folder.name} for folder in runs_below(roots)]

    @api.get("/run")
    def run(path: File) -> dict[str, Any]:
        """What a run was trained on, its curve, its scores beside baselines, what leaked."""
        return {**describe_run(roots.path(path)), **orders.run_choices(roots.path(path)), "path": path}

    @api.post("/compare")
    def comparison(order: CompareRequest) -> dict[str, Any]:
        """Agreement of two class maps, and McNemar's test where labels are given."""
        truth = None if order.labels is None else roots.path(order.labels)
        return compare.compare(roots.path(order.first), roots.path(order.second), truth)

    @api.get("/systems")
    def systems() -> list[dict[str, Any]]:
        """The catalogue: all systems, those that are built with their cards."""
        from swath.systems.planned import PLANNED

        built = set(registry.names())
        return [
            {
                "id": row.id, "title": row.title, "family": row.family, "built": row.id in built,
                "forms": registry.forms(row.id)[1:] if row.id in built else [],
            }
            for row in sorted(PLANNED, key=lambda row: (row.family, row.id))
        ]  # fmt: skip

    @api.get("/systems/{name}")
    def system(name: Annotated[str, Path(pattern="^[a-z0-9_]{1,80}(:[a-z0-9_]{1,80})?$")]) -> dict[str, Any]:
        """The card of a system, and the options that `fit` takes from here for it or one of its forms, `id:form`."""
        card = registry.card(name)
        facts = {field: getattr(card, field) for field in card.__dataclass_fields__}
        told = {"family": card.family, "called": name, "forms": registry.forms(name)[1:]}
        return {**facts, **told, **orders.system_choices(name)}

    @api.get("/labels")
    def read_labels(path: File) -> Response:
        """Drawn labels as GeoJSON; the header ETag is their version, `new` where the file is not there yet."""
        version, found = labels.load(roots.new(path, (".gpkg",)))
        return Response(json.dumps(found), media_type="application/geo+json", headers={"etag": f'"{version}"'})

    @api.put("/labels")
    def write_labels(
        order: LabelsRequest, path: File, response: Response, if_match: Annotated[str, Header(max_length=80)]
    ) -> dict[str, str]:
        """Save drawn labels; `If-Match` is the version that the edit began with; 412: it is not the last."""
        version = labels.save(roots.new(path, (".gpkg",)), order.features, if_match.strip('"'))
        response.headers["etag"] = f'"{version}"'
        return {"path": path, "version": version}

    @api.post("/data")
    def data(order: DataRequest) -> dict[str, str]:
        """Write a description of images and labels that `swath fit` reads."""
        return {"path": roots.name(orders.write_data(order, roots))}

    @api.get("/jobs")
    def all_jobs() -> list[dict[str, Any]]:
        """All jobs, the newest first."""
        return [shown(job) for job in jobs.all()]

    @api.post("/jobs/predict")
    def predict(order: PredictRequest) -> dict[str, Any]:
        """Queue `swath predict`."""
        return shown(orders.predict(order, roots, jobs))

    @api.post("/jobs/fit")
    def fit(order: FitRequest) -> dict[str, Any]:
        """Queue `swath fit`."""
        return shown(orders.fit(order, roots, jobs))

    @api.post("/jobs/score")
    def score(order: ScoreRequest) -> dict[str, Any]:
        """Queue `swath score`."""
        return shown(orders.score(order, roots, jobs))

    @api.post("/jobs/{job}/cancel")
    def cancel(job: str) -> dict[str, Any]:
        """End a job; what it finished so far stays."""
        return shown(jobs.cancel(job))

    @api.post("/jobs/{job}/resume")
    def resume(job: str) -> dict[str, Any]:
        """Let a job that was cut off go on."""
        return shown(jobs.resume(job))

    @api.get("/jobs/{job}/log")
    def log(job: str) -> Response:
        """The end of what a job printed."""
        return Response(jobs.log(job), media_type="text/plain; charset=utf-8")

    @api.get("/jobs/{job}/picture", **_PNG)
    def picture(job: str) -> Response:
        """The map of a job so far, in the proportions of the whole."""
        found = jobs.get(job)
        made = picture_so_far(FilePath(found.output), found.facts)
        return Response(made, media_type="image/png", headers={"cache-control": "no-store"})

    @api.websocket("/jobs/watch")
    async def watch(socket: WebSocket) -> None:
        """All jobs as JSON, whenever one of them changes."""
        await socket.accept()
        told = ""
        try:
            while True:
                now = await asyncio.to_thread(lambda: json.dumps([shown(job) for job in jobs.all()[:50]]))
                if now != told:
                    await socket.send_text(told := now)
                # A closed socket is noticed by listening, not by sending.
                try:
                    await asyncio.wait_for(socket.receive_text(), _LOOK)
                except TimeoutError:
                    continue
        except (WebSocketDisconnect, RuntimeError):
            return

    return api


_ERRORS = {
    400: "What was asked for cannot be done; the body says why",
    401: "The token is missing",
    403: "Another machine or another site's page asked",
    404: "No such file, job or system",
    409: "Not now: the job is not over, or one writes there already",
    412: "The file has changed since the edit began",
    413: "The request is too large",
    422: "A field is missing or of another form",
}


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(",") if number)
    except ValueError as error:
        raise ConfigError("This is no list of numbers", got=text, expected="1 or 3 numbers") from error
