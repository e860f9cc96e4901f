"""Reading the body of a request, never more of it than is allowed, and not for ever."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Return the body.

    Args:
        limit: bytes.
        seconds: within which all of it must have come.

    Raises:
        HTTPException: when it is too large, too slow, or breaks off.
    """
    stated = request.headers.get("content-length", "0")
    if not stated.isascii() or not stated.isdigit() or len(stated) > 12 or int(stated) > limit:
        raise HTTPException(413, f"bodies of at most {limit} bytes are read")

    async def read() -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise HTTPException(413, f"bodies of at most {limit} bytes are read")
        return bytes(body)

    try:
        return await asyncio.wait_for(read(), seconds)
    except (TimeoutError, asyncio.TimeoutError):
        raise HTTPException(408, "the request took too long to arrive") from None
    except ClientDisconnect:
        raise HTTPException(400, "the request broke off") from None
