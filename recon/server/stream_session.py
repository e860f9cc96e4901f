"""What a page is told of a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recon.server.session import Session, empty_description
from recon.streaming.manifest import MANIFEST, Manifest, read_manifest

MANIFEST_ADDRESS = "api/stream/manifest.json"
SOCKET_ADDRESS = "api/stream/live"

MAX_CAMERAS = 1024

_LARGEST = 1e30
"""JSON has whole numbers that no float holds."""


def stream_session(path: Path) -> Session:
    """Show a stream; one that is still to come where the folder holds none yet.

    Raises:
        ReconError: when its manifest is damaged.
    """
    manifest = read_manifest(path) if (path / MANIFEST).exists() else None
    live = manifest is None or manifest.live
    description = {
        **empty_description(path.resolve().name, "stream"),
        "stream": {"manifest": MANIFEST_ADDRESS, "socket": SOCKET_ADDRESS if live else None},
    }
    if manifest is not None:
        description.update(_told(manifest))
    return Session(description)


def stream_cameras(cameras: list[Any]) -> list[dict[str, Any]]:
    """Return those of a manifest's cameras that are cameras, as `api/session` tells them.

    The manifest may come from anybody, so nothing but numbers and a name gets through.
    """
    known = [camera for camera in map(_camera, cameras[:MAX_CAMERAS]) if camera is not None]
    nothing = {"photo": None, "picture": None, "psnr": None, "ssim": None}
    return [{"id": f"c{number}", **camera, **nothing} for number, camera in enumerate(known)]


def _told(manifest: Manifest) -> dict[str, Any]:
    told = {"up": list(manifest.up), "near": manifest.near, "cameras": stream_cameras(manifest.cameras)}
    return {**told, "title": manifest.title} if manifest.title else told


def _camera(data: Any) -> dict[str, Any] | None:
    if not isinstance(data, dict):
        return None
    name, role, size = data.get("name"), data.get("role"), (data.get("width"), data.get("height"))
    if not isinstance(name, str) or len(name) > 200 or role not in ("train", "test"):
        return None
    if not all(type(length) is int and 0 < length < 1 << 16 for length in size):
        return None
    numbers = {"intrinsics": 4, "world_to_camera": 16}
    if not all(_are_numbers(data.get(key), count) for key, count in numbers.items()):
        return None
    camera = {"name": name, "role": role, "width": size[0], "height": size[1]}
    return camera | {key: [float(number) for number in data[key]] for key in numbers}


def _are_numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(type(number) in (int, float) and abs(number) <= _LARGEST for number in value)
    )
