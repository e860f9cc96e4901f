"""A stream's files over HTTP: the manifest, and files whose names say what is in them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePath

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from recon.server.file_table import open_contained, read_chunks
from recon.streaming.manifest import FILE_NAME, MANIFEST

_MAX_MANIFEST = 64 << 20
_SHARED = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


class StreamFiles:
    """The endpoints `api/stream/manifest.json` and `api/stream/NAME.rst`."""

    def __init__(self, folder: Path, *, share: bool = False) -> None:
        """Serve one folder.

        Args:
            share: pages of other origins may read the files, too.
        """
        self._root = Path(os.path.realpath(folder))
        self._headers = dict(_SHARED) if share else {}
        self._share = share
        self._manifest: tuple[tuple[int, int, int], bytes, str] | None = None

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        routes = [
            Route(f"/api/stream/{MANIFEST}", self._answer_manifest),
            Route("/api/stream/{name}", self._answer_file),
        ]
        if self._share:
            routes.append(Route("/api/stream/{name}", self._answer_preflight, methods=["OPTIONS"]))
        return routes

    async def _answer_manifest(self, request: Request) -> Response:
        found = await run_in_threadpool(self._read_manifest)
        if found is None:
            raise HTTPException(404, "the stream has not begun yet", headers=self._headers)
        content, tag = found
        headers = {**self._headers, "Cache-Control": "no-cache", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="application/json", headers=headers)

    async def _answer_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        file = None
        if FILE_NAME.fullmatch(name) and name.isascii():
            file = await run_in_threadpool(open_contained, self._root, PurePath(name))
        if file is None:
            raise HTTPException(404, "this stream has no such file", headers=self._headers)
        size = os.fstat(file.fileno()).st_size
        headers = {
            **self._headers,
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Length": str(size),
        }
        return StreamingResponse(
            read_chunks(file, size), media_type="application/octet-stream", headers=headers
        )

    async def _answer_preflight(self, request: Request) -> Response:
        """Allow the header that carries the token, where one is needed."""
        allowed = {
            "Access-Control-Allow-Methods": "GET",
            "Access-Control-Allow-Headers": "Authorization",
            "Access-Control-Max-Age": "86400",
        }
        return Response(status_code=204, headers={**self._headers, **allowed})

    def _read_manifest(self) -> tuple[bytes, str] | None:
        """Return the manifest and its tag; it is read again only when it has changed."""
        file = open_contained(self._root, PurePath(MANIFEST))
        if file is None:
            return None
        with file:
            status = os.fstat(file.fileno())
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._manifest
            if known is None or known[0] != signature:
                if status.st_size > _MAX_MANIFEST:
                    return None
                content = b"".join(read_chunks(file, status.st_size))
                known = (signature, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
                self._manifest = known
        return known[1], known[2]
