"""A web server of one folder, with range requests and faults on demand."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Faults:
    """What the server does wrong: of the next answers, `failing` are 503, `stalling` wait, `cutting` end early."""

    def __init__(self):
        self.failing = self.stalling = self.cutting = 0
        self.after = 0  # good answers before the faults begin
        self.requests = 0

    def take(self, kind):
        left = getattr(self, kind)
        if left and self.after <= 0:
            setattr(self, kind, left - 1)
            return True
        return False


@contextmanager
def serving(folder):
    """Serve a folder; gives the address and the faults."""
    faults = Faults()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            faults.requests += 1
            faults.after -= 1
            path = folder / unquote(self.path).lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            if faults.take("failing"):
                self.send_error(503)
                return
            if faults.take("stalling"):
                time.sleep(3)
            content, status = path.read_bytes(), 200
            wanted = self.headers.get("Range")
            headers = {"Accept-Ranges": "bytes"}
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last or len(content) - 1), len(content) - 1) + 1
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
                content, status = content[start:stop], 206
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                short = len(content) // 2 if len(content) > 1000 and faults.take("cutting") else len(content)
                self.wfile.write(content[:short])
                self.close_connection = short < len(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
