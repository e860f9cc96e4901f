"""Meshes as .glb, the binary form of glTF 2.0, which browsers, Blender and phones open."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from recon.files import atomic_write

_FLOAT, _UNSIGNED_INT, _UNSIGNED_SHORT = 5126, 5125, 5123
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963


def write_glb(
    path: str | os.PathLike[str],
    vertices: Float[ndarray, "V 3"],
    faces: Int[ndarray, "F 3"],
    colors: UInt8[ndarray, "V 3"],
) -> None:
    """Write a mesh with vertex colours.

    The vertices keep their world coordinates; since scenes have y down and glTF has y up, the mesh's node turns them by
    180 degrees about x. The material is unlit (the colours are photographed light already) and double-sided. glTF
    wants linear colours, so sRGB bytes are stored as 16-bit linear values, which give the same bytes back.

    Args:
        vertices: [V, 3] world coordinates.
        faces: [F, 3] vertex indices.
        colors: [V, 3] sRGB bytes.

    Raises:
        ReconError: when the file cannot be written.

    Source: Khronos Group, "glTF 2.0 Specification", sections 3.6 to 3.9 and 4.4; KHR_materials_unlit.
    """
    vertices = np.ascontiguousarray(vertices, "<f4")
    linear = np.full((len(vertices), 4), 65535, "<u2")
    linear[:, :3] = np.rint(65535 * srgb_to_linear(np.asarray(colors) / 255.0))
    parts = [vertices.tobytes(), linear.tobytes(), np.ascontiguousarray(faces, "<u4").tobytes()]
    offsets = np.cumsum([0, *map(len, parts)]).tolist()
    targets = [_ARRAY_BUFFER, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER]
    document = {
        "asset": {"version": "2.0", "generator": "recon"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "rotation": [1.0, 0.0, 0.0, 0.0]}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}
        ],
        "materials": [
            {
                "doubleSided": True,
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
                "extensions": {"KHR_materials_unlit": {}},
            }
        ],
        "accessors": [
            {
                **{"bufferView": 0, "componentType": _FLOAT, "count": len(vertices), "type": "VEC3"},
                "min": vertices.min(axis=0).tolist(),
                "max": vertices.max(axis=0).tolist(),
            },
            {
                **{"bufferView": 1, "componentType": _UNSIGNED_SHORT, "count": len(vertices), "type": "VEC4"},
                "normalized": True,
            },
            {"bufferView": 2, "componentType": _UNSIGNED_INT, "count": 3 * len(faces), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": offset, "byteLength": len(part), "target": target}
            for offset, part, target in zip(offsets, parts, targets, strict=False)
        ],
        "buffers": [{"byteLength": offsets[-1]}],
    }
    text = json.dumps(document, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    # All three parts have a multiple of four bytes, as chunks must.
    with atomic_write(path) as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + offsets[-1]))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", offsets[-1], b"BIN\0"))
        for part in parts:
            file.write(part)


def srgb_to_linear(values: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    """Convert sRGB values in [0, 1] to linear light. Source: IEC 61966-2-1."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
