"""`swath studio`: the folders of this machine on a map, in a browser."""

from __future__ import annotations

import argparse
import secrets
import socket
import threading
import warnings
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from swath.errors import ConfigError, MissingExtraError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument(
        "folders", metavar="FOLDER", nargs="*", type=Path,
        help="folders to serve; by default this one; of a file, its folder, and the page opens it",
    )  # fmt: skip
    verb.add_argument("--host", default="127.0.0.1", help="address to listen at; beyond this machine a token is needed")
    verb.add_argument("--port", type=int, default=8017, help="port to listen at; 0 takes a free one")
    verb.add_argument("--token", help="what others must bring; by default a new one where --host is not this machine")
    verb.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(options: argparse.Namespace) -> None:
    """Serve until interrupted.

    Raises:
        MissingExtraError: If the extra `studio` is not installed.
        ReadError: If a folder does not exist.
        ConfigError: If the address cannot be listened at.
    """
    try:
        import uvicorn

        from swath.studio.app import create_app
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "swath":
            raise
        raise MissingExtraError(error.name or "fastapi", "studio") from error
    # NAIP and others mark an infrared band as alpha and have a nodata value too; the nodata value counts.
    warnings.filterwarnings("ignore", message="The dataset's nodata attribute is shadowing the alpha band")
    token = options.token or (None if options.host in _LOOPBACK else secrets.token_urlsafe(24))
    folders = options.folders or [Path()]
    app = create_app([path.parent if path.is_file() else path for path in folders], token)
    listening = _listen(options.host, options.port)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    if folders[0].is_file():
        opened = folders[0].resolve()
        address += "#" + quote(f"{opened.parent.name or 'root'}/{opened.name}")
    print(f"Swath Studio: {address}\nStop it with Ctrl-C; jobs that run then go on when you resume them.", flush=True)
    if not options.no_browser:
        threading.Timer(1, webbrowser.open, [address]).start()
    server: Any = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws_max_size=1 << 16))
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            "Studio cannot listen there", got=f"{host}:{port}, {error}", fix="Choose another --port or --host"
        ) from error
