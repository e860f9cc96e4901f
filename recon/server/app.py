"""The viewer's web application: a page, what it shows, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from recon.errors import ReconError
from recon.server.access import Access, Application, Guard
from recon.server.bodies import read_body
from recon.server.live_feed import LiveFeed
from recon.server.live_socket import LiveSocket
from recon.server.page_files import PageFile
from recon.server.pictures import parse_picture_request
from recon.server.session import Stage
from recon.server.sockets import Patience
from recon.server.stream_service import StreamService

MAX_BODY = 64 << 10
"""Bytes of a POST's body."""

_BODY_SECONDS = 10.0
_MAX_WAITING = 16
"""Pictures that may wait for their turn."""


def create_app(
    stage: Stage,
    access: Access,
    page: Mapping[str, PageFile],
    feed: LiveFeed | None = None,
    patience: Patience | None = None,
    stream: StreamService | None = None,
) -> Application:
    """Build the application.

    Args:
        stage: what is shown.
        access: who is let in.
        page: the page's files (`load_page`).
        feed: of a live training, if there is one.
        patience: with slow clients of the feed.
        stream: what a stream that is shown needs.
    """
    painter = _Painter(stage)

    async def session(request: Request) -> Response:
        return JSONResponse(stage.session.description, headers={"Cache-Control": "no-store"})

    async def file(request: Request) -> Response:
        opened = await run_in_threadpool(stage.session.files.open, request.path_params["id"])
        if opened is None:
            raise HTTPException(404, "this session has no such file")
        headers = {"Content-Length": str(opened.size), "Cache-Control": "private, no-cache"}
        return StreamingResponse(opened.chunks, media_type=opened.media_type, headers=headers)

    async def page_file(request: Request) -> Response:
        found = page.get(request.path_params.get("path") or "index.html")
        if found is None:
            raise HTTPException(404, "there is no such page")
        return Response(found.content, media_type=found.media_type, headers={"Cache-Control": "no-cache"})

    routes: list = [
        Route("/api/session", session),
        Route("/api/files/{id}", file),
        Route("/api/picture", painter.answer, methods=["POST"]),
        Route("/", page_file),
        Route("/{path:path}", page_file),
    ]
    if feed is not None:
        routes.insert(0, WebSocketRoute("/api/live", LiveSocket(feed, access, patience).answer))
    if stream is not None:
        routes[:0] = stream.routes(access, patience)
    application = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _sentence, ReconError: _mistake, Exception: _failure},
    )
    return Guard(application, access)


class _Painter:
    """The endpoint `api/picture`: one picture at a time, the others wait."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def answer(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "send the request as application/json")
        wish = parse_picture_request(await read_body(request, MAX_BODY, _BODY_SECONDS))
        pictures = self._stage.session.pictures
        if pictures is None:
            raise HTTPException(409, "this session draws no pictures yet; wait until the training is done")
        if self._waiting >= _MAX_WAITING:
            raise HTTPException(503, "too many pictures are waiting already; try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                drawn = await run_in_threadpool(pictures.draw, wish)
        finally:
            self._waiting -= 1
        return Response(
            drawn.png, media_type="image/png", headers={**drawn.headers, "Cache-Control": "no-store"}
        )


async def _sentence(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _mistake(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the server failed at this; its terminal says more"}, 500)
