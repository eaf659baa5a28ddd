"""Swath Studio's server: the page, and all that it asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from swath import __version__
from swath.errors import ReadError, RunError, SwathError, UnknownNameError, WriteError
from swath.studio.api import routes
from swath.studio.guard import MOST, Guard
from swath.studio.jobs import Jobs
from swath.studio.labels import ConflictError
from swath.studio.roots import Roots

#: The built page; a wheel carries it, a checkout gets it by `npm run build` in `studio/`.
PAGE = Path(__file__).parent / "page"
_NO_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>Swath Studio</title>
<h1>The page of Swath Studio is not built</h1>
<p>This installation comes from source. With Node 20 or later: <code>cd studio &amp;&amp; npm ci &amp;&amp; npm run
build</code>, then load this page again. Wheels of Swath carry the built page.</p>
<p>The server itself runs: <a href="/api/openapi.json">what it answers</a>.</p></html>"""
_STATUS: tuple[tuple[type[SwathError], int], ...] = (
    (ConflictError, 412),
    (UnknownNameError, 404),
    (ReadError, 404),
    (RunError, 409),
    (WriteError, 409),
)


def create_app(roots: Sequence[Path], token: str | None = None, most: int = MOST) -> FastAPI:
    """The server as an ASGI application.

    Args:
        roots: Folders to serve; Studio's own files go into `studio/` of the first.
        token: What every request must carry; None answers this machine only.
        most: Bytes that a request may carry.

    Raises:
        ReadError: If a folder does not exist.
    """
    served = Roots(roots)
    jobs = Jobs(served.own / "jobs")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        jobs.close()

    app = FastAPI(
        title="Swath Studio", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/openapi.json",
    )  # fmt: skip
    app.add_middleware(Guard, token=token, most=most)
    app.add_exception_handler(SwathError, _refused)
    app.include_router(routes(served, jobs))
    if (PAGE / "index.html").is_file():
        app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    else:
        app.add_api_route("/", lambda: HTMLResponse(_NO_PAGE), include_in_schema=False)
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """An error as the command line tells it, and in its parts."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
    told = {name: getattr(error, name, None) for name in ("problem", "got", "expected", "fix")}
    return JSONResponse(
        {**{name: None if value is None else str(value) for name, value in told.items()}, "message": str(error)}, status
    )
