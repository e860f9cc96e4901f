"""The 3D Gaussian splatting .ply: every attribute as float32, exact.

Vertex properties as the original implementation writes them: `x y z`, `nx ny nz` (unused, zero: its viewer expects
them), `f_dc_0..2`, `f_rest_0..` (channel-major: all red coefficients of degree >= 1, then green, then blue), `opacity`
(inverse sigmoid), `scale_0..2` (logarithm), `rot_0..3` (w, x, y, z).

Reading is tolerant: properties in any order, further properties and elements, float or double, little or big endian
or text. The numbers are read by this file and not by plyfile, which allocates what the header states before it has
seen the data.

Source: Kerbl et al. 2023, "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (its file format);
Turk 1994, "The PLY Polygon File Format".
"""

import io
import os
import re
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy import ndarray

from recon.errors import ReconError
from recon.files import atomic_write, read_bytes
from recon.splats.formats.limits import MAX_SPLATS, arrays_to_write, blocks, check_arrays, check_count
from recon.splats.gaussians import Gaussians

_MAX_HEADER = 1 << 16
_MAX_RECORD = 1024
"""Most bytes per Gaussian in a binary file; 62 doubles are 496."""
_MAX_TOKEN = 40
"""Most characters per number and its separator in a text file; a double needs 25."""
_MAX_TOKENS = 4096
"""Numbers of a text file parsed at a time; each takes some fifty bytes until it is a float."""

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "ascii"}


def read_ply(path: str | os.PathLike[str]) -> Gaussians:
    """Read a 3DGS .ply file.

    Raises:
        ReconError: when the file is missing, damaged, too large, or a .ply of something else.
    """
    return decode_ply(read_bytes(path, _MAX_HEADER + MAX_SPLATS * _MAX_RECORD), str(path))


def write_ply(path: str | os.PathLike[str], gaussians: Gaussians) -> None:
    """Write a 3DGS .ply file that `read_ply` returns bit for bit.

    Raises:
        ReconError: when the Gaussians hold NaN or infinity, or the file cannot be written.
    """
    arrays = arrays_to_write(path, gaussians)
    names = _property_names(gaussians.sh.shape[1])
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(gaussians)}"]
    header += [f"property float {name}" for name in names]
    with atomic_write(path) as file:
        file.write("\n".join([*header, "end_header\n"]).encode("ascii"))
        for part in blocks(len(gaussians)):
            file.write(_records(arrays, part, len(names)))


def decode_ply(content: bytes, source: str) -> Gaussians:
    """Decode the content of a 3DGS .ply file; allocates at most three times its size.

    Args:
        source: what to call the file in errors.

    Raises:
        ReconError: as `read_ply`.
    """
    header = _parse_header(content, source)
    columns = _locate_columns(header.vertex, source)
    count = header.vertex.count
    check_count(source, count)
    rest = sum(name.startswith("f_rest_") for name in columns)
    coefficients = 1 + rest // 3
    if header.byte_order == "ascii":
        smallest = count * 2 * len(header.vertex.properties) - 1  # a digit and a separator each
    else:
        smallest = header.skip + count * header.vertex.record.itemsize
    if len(content) - header.size < smallest:
        raise ReconError(
            f"{source} is cut off: its header states {count} Gaussians, which take at least {smallest} bytes, but "
            f"{len(content) - header.size} follow"
        )
    arrays = {
        "means": np.empty((count, 3), np.float32),
        "log_scales": np.empty((count, 3), np.float32),
        "quaternions": np.empty((count, 4), np.float32),
        "opacity_logits": np.empty(count, np.float32),
        "sh": np.empty((count, coefficients, 3), np.float32),
    }
    targets = _targets(arrays)
    reader = _text_blocks if header.byte_order == "ascii" else _binary_blocks
    for part, column in reader(content, header, columns, source):
        for name in columns:
            with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite and is refused below
                targets[name][part] = column(name)
    check_arrays(source, arrays)
    return Gaussians(**{name: torch.from_numpy(array) for name, array in arrays.items()})


@dataclass
class _Element:
    name: str
    count: int
    properties: dict[str, str] = field(default_factory=dict)  # name -> numpy type code
    has_lists: bool = False
    record: np.dtype = field(default_factory=lambda: np.dtype([]))


@dataclass
class _Header:
    byte_order: str  # "<", ">" or "ascii"
    size: int  # bytes up to the first record
    vertex: _Element
    skip: int  # bytes (binary) or lines (text) of elements that come before the vertices


def _parse_header(content: bytes, source: str) -> _Header:
    """Read the header's text; allocates nothing that its numbers ask for."""
    match = re.search(rb"^end_header[ \t]*(\r\n|\n|\r)", content[:_MAX_HEADER], re.MULTILINE)
    if not re.match(rb"ply[ \t]*[\r\n]", content) or match is None:
        raise ReconError(f"{source} is not a .ply file: it does not have a header from 'ply' to 'end_header'")
    byte_order = None
    elements: list[_Element] = []
    for line in content[: match.start()].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) == 3 and words[1] in _BYTE_ORDERS:
            byte_order = _BYTE_ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and re.fullmatch(r"\d{1,12}", words[2], re.ASCII):
            elements.append(_Element(words[1], int(words[2])))
        elif words[0] == "property" and elements and _add_property(elements[-1], words):
            continue
        else:
            raise ReconError(f"{source} has a header line that is not understood: {line.strip()[:80]!r}")
    if byte_order is None:
        raise ReconError(f"{source} does not state its format (ascii or binary) in the header")
    before: list[_Element] = []
    for element in elements:
        if element.name == "vertex":
            return _finish_header(source, byte_order, match.end(), before, element)
        before.append(element)
    raise ReconError(f"{source} has no 'vertex' element, so it holds no Gaussians")


def _add_property(element: _Element, words: list[str]) -> bool:
    if len(words) == 5 and words[1] == "list":
        element.has_lists = True
        return True
    if len(words) != 3 or words[1] not in _TYPES or words[2] in element.properties:
        return False
    element.properties[words[2]] = _TYPES[words[1]]
    return True


def _finish_header(
    source: str, byte_order: str, size: int, before: list[_Element], vertex: _Element
) -> _Header:
    if vertex.has_lists or (byte_order != "ascii" and any(element.has_lists for element in before)):
        raise ReconError(
            f"{source} has lists of varying length among or before its vertices; Gaussians have none"
        )
    if byte_order == "ascii":
        return _Header(byte_order, size, vertex, skip=sum(element.count for element in before))
    for element in (*before, vertex):
        fields = [(name, byte_order + code) for name, code in element.properties.items()]
        element.record = np.dtype(fields)
    if vertex.record.itemsize > _MAX_RECORD:
        raise ReconError(
            f"{source} has {vertex.record.itemsize} bytes per Gaussian; at most {_MAX_RECORD} are read"
        )
    return _Header(byte_order, size, vertex, skip=sum(e.count * e.record.itemsize for e in before))


def _property_names(coefficients: int) -> list[str]:
    """Name the properties in the order in which they are written."""
    return [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{i}" for i in range(3 * (coefficients - 1))),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]


def _locate_columns(vertex: _Element, source: str) -> list[str]:
    """Return the names of the properties to read, after checking that they describe Gaussians."""
    present = vertex.properties
    rest = sum(bool(re.fullmatch(r"f_rest_\d+", name, re.ASCII)) for name in present)
    if rest not in (0, 9, 24, 45):
        raise ReconError(
            f"{source} has {rest} f_rest properties; spherical harmonics of degree 0 to 3 have 0, 9, 24 or 45"
        )
    needed = [name for name in _property_names(1 + rest // 3) if name not in ("nx", "ny", "nz")]
    missing = [name for name in needed if name not in present]
    if "packed_position" in present:
        raise ReconError(f"{source} is a compressed .ply: open it in SuperSplat and save it as .ply or .spz")
    if missing and not {"opacity", "scale_0", "rot_0"} & present.keys():
        raise ReconError(
            f"{source} holds points or a mesh, not Gaussians: it has no opacity, scale_0 and rot_0"
        )
    if missing:
        raise ReconError(f"{source} lacks the vertex properties {', '.join(missing)}")
    for name in needed:
        if present[name] not in ("f4", "f8"):
            raise ReconError(f"{source} stores {name} as whole numbers; Gaussians need float or double")
    return needed


def _targets(arrays: dict[str, ndarray]) -> dict[str, ndarray]:
    """Return, for each property, the column of the arrays that holds it."""
    coefficients = arrays["sh"].shape[1]
    targets = dict(zip("xyz", arrays["means"].T, strict=True))
    targets.update({f"scale_{i}": column for i, column in enumerate(arrays["log_scales"].T)})
    targets.update({f"rot_{i}": column for i, column in enumerate(arrays["quaternions"].T)})
    targets["opacity"] = arrays["opacity_logits"]
    for channel in range(3):
        targets[f"f_dc_{channel}"] = arrays["sh"][:, 0, channel]
        for k in range(1, coefficients):
            targets[f"f_rest_{channel * (coefficients - 1) + k - 1}"] = arrays["sh"][:, k, channel]
    return targets


def _binary_blocks(content: bytes, header: _Header, columns: list[str], source: str):
    """Yield row ranges and a function from a property's name to its values there."""
    table = np.frombuffer(content, header.vertex.record, header.vertex.count, header.size + header.skip)
    for part in blocks(header.vertex.count):
        yield part, table[part].__getitem__


def _text_blocks(content: bytes, header: _Header, columns: list[str], source: str):
    """Yield row ranges and a function from a property's name to its values there."""
    properties = list(header.vertex.properties)
    longest = _MAX_TOKEN * len(properties) + 2
    stream = io.BytesIO(content)
    stream.seek(header.size)
    for _ in range(header.skip):
        if not stream.readline():
            break
    lines = iter(lambda: stream.readline(longest), b"")
    filled = (line for line in lines if not line.isspace())
    for part in blocks(header.vertex.count, max(1, _MAX_TOKENS // len(properties))):
        rows = part.stop - part.start
        tokens = b" ".join(islice(filled, rows)).split()
        if len(tokens) != rows * len(properties):
            raise ReconError(
                f"{source} is damaged: Gaussians {part.start} to {part.stop - 1} should have {len(properties)} "
                f"numbers each, one Gaussian per line"
            )
        try:
            table = np.array(tokens, dtype=np.float64).reshape(rows, len(properties))
        except ValueError:
            raise ReconError(f"{source} is damaged: it holds text where numbers should be") from None
        values = dict(zip(properties, table.T, strict=True))
        yield part, values.__getitem__


def _records(arrays: dict[str, ndarray], part: slice, width: int) -> bytes:
    """Return the bytes of some Gaussians."""
    rows = part.stop - part.start
    table = np.zeros((rows, width), "<f4")
    table[:, 0:3] = arrays["means"][part]
    table[:, 6:9] = arrays["sh"][part, 0]
    table[:, 9:-8] = arrays["sh"][part, 1:].swapaxes(1, 2).reshape(rows, width - 17)
    table[:, -8] = arrays["opacity_logits"][part]
    table[:, -7:-4] = arrays["log_scales"][part]
    table[:, -4:] = arrays["quaternions"][part]
    return table.tobytes()
