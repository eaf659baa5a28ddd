"""A STAC API of some items: one item a page, filters by box, time and collection as the specification says."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CONFORMS = ("core", "item-search", "ogcapi-features", "collections")


@contextmanager
def serving_api(items, broken=False):
    """Serve items, given as dictionaries; gives the address and the bodies of the searches."""
    searches = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def reply(self, content, status=200):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/geo+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            here = f"http://127.0.0.1:{self.server.server_port}"
            self.reply(
                {
                    "type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "for tests",
                    "conformsTo": [f"https://api.stacspec.org/v1.0.0/{name}" for name in _CONFORMS],
                    "links": [
                        {"rel": "self", "href": here},
                        {"rel": "root", "href": here},
                        {"rel": "search", "href": f"{here}/search", "method": "POST", "type": "application/geo+json"},
                    ],
                }
            )  # fmt: skip

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            searches.append(asked)
            if broken:
                self.reply({"description": "no such filter"}, 400)
                return
            found = [item for item in items if _fits(item, asked)]
            page = asked.get("page", 0)
            links = []
            if page + 1 < len(found):
                address = f"http://127.0.0.1:{self.server.server_port}/search"
                links = [{"rel": "next", "href": address, "method": "POST", "body": asked | {"page": page + 1}}]
            self.reply({"type": "FeatureCollection", "features": found[page : page + 1], "links": links})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", searches
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _fits(item, asked):
    if "bbox" in asked:
        west, south, east, north = asked["bbox"]
        box = item["bbox"]
        if not (box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south):
            return False
    if "datetime" in asked:
        first, last = (datetime.fromisoformat(time) for time in asked["datetime"].split("/"))
        if not first <= datetime.fromisoformat(item["properties"]["datetime"]) <= last:
            return False
    return "collections" not in asked or item.get("collection") in asked["collections"]
