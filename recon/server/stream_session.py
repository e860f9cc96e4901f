"""What a page is told of a stream."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from recon.server.session import Session, empty_description
from recon.streaming.manifest import MANIFEST, Manifest, read_manifest

MANIFEST_ADDRESS = "api/stream/manifest.json"
SOCKET_ADDRESS = "api/stream/live"

MAX_CAMERAS = 1024


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


def _told(manifest: Manifest) -> dict[str, Any]:
    cameras = [camera for camera in map(stream_camera, manifest.cameras[:MAX_CAMERAS]) if camera is not None]
    told: dict[str, Any] = {"up": list(manifest.up)}
    if manifest.title:
        told["title"] = manifest.title
    told["cameras"] = [
        {"id": f"c{number}", **camera, "photo": None, "picture": None, "psnr": None, "ssim": None}
        for number, camera in enumerate(cameras)
    ]
    return told


def stream_camera(data: Any) -> dict[str, Any] | None:
    """Return what a manifest says of a camera, or None where it does not describe one.

    The manifest may come from anybody, so nothing but numbers and a name gets through.
    """
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
        and all(type(number) in (int, float) and math.isfinite(number) for number in value)
    )
