"""Who may ask, and how much: host, origin, token and size of every request, before anything reads it."""

from __future__ import annotations

import hmac
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from starlette.responses import JSONResponse, RedirectResponse
from starlette.websockets import WebSocketClose

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
#: Bytes that a request may carry.
MOST = 32 << 20
COOKIE = "swath_token"
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'self'; img-src 'self' data: blob: https:; connect-src 'self' https:; "
    b"style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; object-src 'none'; frame-ancestors 'none'; "
    b"base-uri 'none'; form-action 'self'",
}


class Guard:
    """ASGI middleware.

    Without a token only requests to the names of this machine's loopback are answered, so that a page of the web
    whose name was made to point here gets nothing. With one, each request must carry it: as `Authorization: Bearer`,
    or as the cookie that `/?token=...` sets. Requests of other origins that change anything are refused.

    Args:
        app: What is guarded.
        token: The token; None on loopback.
        most: Bytes that a request may carry.
    """

    def __init__(self, app: ASGIApp, token: str | None = None, most: int = MOST) -> None:
        self.app, self.token, self.most = app, token, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if self.token and scope["type"] == "http" and scope["path"] == "/":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if _same(given, self.token):
                answer = RedirectResponse("/", 303)
                answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
                await answer(scope, receive, send)
                return
        if refusal := self._refusal(scope, headers):
            if scope["type"] == "websocket":
                await WebSocketClose(1008, refusal[1])(scope, receive, send)
            else:
                await JSONResponse({"problem": refusal[1], "message": refusal[1]}, refusal[0])(scope, receive, send)
            return
        await self.app(scope, self._limited(receive), _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self.token is None:
            if urlsplit(f"//{host}").hostname not in LOOPBACK:
                return 403, "Studio answers this machine only; start it with --host and a token for others"
        elif not self._knows(headers):
            return 401, "The token is missing or wrong; open the address that `swath studio` printed"
        origin = headers.get("origin")
        if origin and scope.get("method") not in ("GET", "HEAD") and urlsplit(origin).netloc != host:
            return 403, "Another site's page may not use Studio"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.most:
            return 413, f"A request may carry {self.most >> 20} MB at most"
        return None

    def _knows(self, headers: dict[str, str]) -> bool:
        token = self.token or ""
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return _same(bearer, token) or (cookie is not None and _same(cookie.value, token))

    def _limited(self, receive: Receive) -> Receive:
        """`receive`, which ends a request that carries more than it said."""
        got = 0

        async def limited() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            return {"type": "http.disconnect"} if got > self.most else message

        return limited


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *((k, v) for k, v in _HEADERS.items() if k not in present)]
        await send(message)

    return sender
