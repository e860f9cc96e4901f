"""The .spz format: errors within its quantisation, bytes as its description says, sentences for bad files."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from recon.errors import ReconError
from recon.splats import Gaussians
from recon.splats.formats import decode_spz, read_spz, write_spz
from recon.splats.formats.limits import byte_opacity_logits
from recon.splats.harmonics import sh_basis

GOLDEN = Path(__file__).parent / "golden"

ROTATION_ERROR = 2 * 2 * np.sqrt(3) * np.sqrt(0.5) / 1022
"""Three components are off by at most half of sqrt(1/2)/511, the fourth by as much in sum, the angle by twice that."""


def encoded(tmp_path, gaussians: Gaussians, version: int = 3) -> bytes:
    write_spz(tmp_path / "a.spz", gaussians, version=version)
    return (tmp_path / "a.spz").read_bytes()


def rotation_angles(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Angle in radians between the rotations of two sets of quaternions."""
    a, b = (torch.nn.functional.normalize(q.double(), dim=1) for q in (a, b))
    return 2 * torch.minimum((a - b).norm(dim=1), (a + b).norm(dim=1))  # chord = angle / 2 for small angles


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_round_trip_is_within_the_quantisation(tmp_path, make_gaussians, version, degree):
    gaussians = make_gaussians(3000, degree)
    gaussians.log_scales.clamp_(-10, 5.9)
    gaussians.sh[:, 1:].clamp_(-0.9, 0.9)
    content = encoded(tmp_path, gaussians, version)
    back = decode_spz(content, "a.spz")
    extent = float(gaussians.means.abs().max())
    assert (
        back.means - gaussians.means
    ).abs().max() <= extent / 2**23  # half a step; a step is <= extent / 2^22
    assert (back.log_scales - gaussians.log_scales).abs().max() <= 1 / 32 + 1e-6
    assert (back.opacities - gaussians.opacities).abs().max() <= 0.5 / 255 + 1e-6
    assert (
        back.sh[:, 0] - gaussians.sh[:, 0].clamp(-1 / 0.3, 1 / 0.3)
    ).abs().max() <= 0.5 / 255 / 0.15 + 1e-6
    if degree >= 1:
        assert (back.sh[:, 1:4] - gaussians.sh[:, 1:4]).abs().max() <= (4 + 0.5) / 128 + 1e-6
    if degree >= 2:
        assert (back.sh[:, 4:] - gaussians.sh[:, 4:]).abs().max() <= (8 + 0.5) / 128 + 1e-6
    assert rotation_angles(back.quaternions, gaussians.quaternions).max() < ROTATION_ERROR


@pytest.mark.parametrize("version", [3, 4])
def test_writing_again_loses_nothing(tmp_path, make_gaussians, version):
    """What was read is on the format's grid, so further rounds do not drift away."""
    once = again = decode_spz(encoded(tmp_path, make_gaussians(2000, 3), version), "a.spz")
    for _ in range(4):
        again = decode_spz(encoded(tmp_path, again, version), "a.spz")
    for name in ("log_scales", "opacity_logits", "sh", "means"):
        assert torch.equal(once.tensors()[name], again.tensors()[name]), name
    angles = rotation_angles(once.quaternions, again.quaternions)
    assert angles.max() < ROTATION_ERROR  # where two components tie, the other one may be left out
    assert (angles == 0).float().mean() > 0.98


def test_both_versions_decode_to_the_same_numbers(tmp_path, make_gaussians):
    gaussians = make_gaussians(500, 2)
    a, b = (decode_spz(encoded(tmp_path, gaussians, version), "a") for version in (3, 4))
    for x, y in zip(a.tensors().values(), b.tensors().values(), strict=True):
        assert torch.equal(x, y)


def test_bytes_of_one_gaussian(tmp_path):
    """Worked by hand from the format's description."""
    half = np.sqrt(0.5)
    gaussians = Gaussians(
        means=torch.tensor([[1.0, -2.0, 3.0]]),
        log_scales=torch.tensor([[0.0, -10.0, 5.0]]),
        quaternions=torch.tensor([[half, 0.0, -half, 0.0]], dtype=torch.float32) * 3,
        opacity_logits=torch.tensor([0.0]),
        sh=torch.tensor([[[0.0, 1.0, -10.0], [0.25, 0, 0], [0, 0.25, 0], [0, 0, -0.25]]]),
    )
    body = gzip.decompress(encoded(tmp_path, gaussians))
    magic, version, count, degree, bits, flags, reserved = struct.unpack_from("<4sIIBBBB", body)
    assert (magic, version, count, degree, flags, reserved) == (b"NGSP", 3, 1, 1, 0, 0)
    assert bits == 21  # 3 * 2^21 < 2^23 <= 3 * 2^22
    one = 1 << 21
    fixed = b"".join(value.to_bytes(3, "little", signed=True) for value in (one, 2 * one, -3 * one))
    assert body[16:25] == fixed  # y and z change sign
    assert body[25] == 128  # rint(127.5)
    assert list(body[26:29]) == [128, round(255 * 0.65), 0]
    assert list(body[29:32]) == [160, 0, 240]
    # (x, y, z, w) = (0, +half, 0, half) after y's sign change; y (index 1) is the first of the largest two and left
    # out; x and z are zero, w has the full magnitude 511.
    packed = int.from_bytes(body[32:36], "little")
    assert packed in (1 << 30 | 511, 3 << 30 | 511 << 10)
    assert list(body[36:45]) == [128 - 32, 128, 128, 128, 128 - 32, 128, 128, 128, 128 - 32]
    assert len(body) == 45


def test_axes_change_keeps_the_colours():
    """Flipping y and z of a direction and of the coefficients gives the same colour."""
    from recon.splats.formats.spz import FLIP_SH

    directions = np.random.default_rng(0).normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(
        sh_basis(directions * [1, -1, -1], 3), sh_basis(directions, 3) * FLIP_SH, atol=1e-12
    )


def test_opacity_extremes_stay_finite():
    logits = byte_opacity_logits(np.arange(256, dtype=np.uint8))
    assert np.isfinite(logits).all() and (np.diff(logits) > 0).all()


def legacy_body(version: int, rotation: bytes, flags: int = 0, extensions: bytes = b"") -> bytes:
    header = struct.pack("<4sIIBBBB", b"NGSP", version, 1, 0, 12, flags, 0)
    position = (4096).to_bytes(3, "little") * 3
    return gzip.compress(
        header + position + bytes([255, 128, 128, 128, 160, 160, 160]) + rotation + extensions
    )


def test_version_2_rotation():
    """Bytes 0, 128 and 255 are about -1, 0 and 1; w is what is missing to length one."""
    quaternion = decode_spz(legacy_body(2, bytes([128, 204, 128])), "a.spz").quaternions[0]
    np.testing.assert_allclose(quaternion, [0.8, 0, -0.6, 0], atol=6e-3)
    long = decode_spz(legacy_body(2, bytes([255, 255, 255])), "a.spz").quaternions[
        0
    ]  # longer than one: w is 0
    assert long[0] == 0 and torch.isfinite(long).all()


def test_extensions_are_skipped_unless_they_change_the_axes():
    other = struct.pack("<II", 0xADBE0002, 12) + bytes(12)
    axes = struct.pack("<III", 0xADBE0003, 4, 4)
    assert len(decode_spz(legacy_body(3, bytes(4), 2, other + axes), "a.spz")) == 1
    with pytest.raises(ReconError, match="uses other axes"):
        decode_spz(legacy_body(3, bytes(4), 2, other + struct.pack("<III", 0xADBE0003, 4, 6)), "a.spz")


def test_equal_scenes_give_equal_files(tmp_path, make_gaussians):
    assert encoded(tmp_path, make_gaussians(100, 1)) == encoded(tmp_path, make_gaussians(100, 1))


def test_far_gaussians_are_refused_not_moved(tmp_path, make_gaussians):
    gaussians = make_gaussians(3, 0)
    gaussians.means[0, 0] = 8388607
    back = decode_spz(encoded(tmp_path, gaussians), "a.spz")
    assert back.means[0, 0] == 8388607
    gaussians.means[0, 0] = 1e7
    with pytest.raises(ReconError, match=r"1e\+07 units out"):
        write_spz(tmp_path / "b.spz", gaussians)


HEADER = struct.Struct("<4sIIBBBB")


def rewritten(content: bytes, **fields: int) -> bytes:
    """Change header fields of a version 3 file."""
    body = gzip.decompress(content)
    names = ("magic", "version", "count", "degree", "bits", "flags", "reserved")
    values = dict(zip(names, HEADER.unpack_from(body), strict=True)) | fields
    return gzip.compress(HEADER.pack(*values.values()) + body[HEADER.size :])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: b"", "starts with neither"),
        (lambda c: c[:-1], "cut off or damaged"),
        (lambda c: c[:10], "cut off within its header"),
        (lambda c: c[:-8] + bytes(8), "cannot be decompressed"),
        (lambda c: rewritten(c, count=51), "cut off or damaged"),
        (lambda c: rewritten(c, count=0), "holds no Gaussians"),
        (lambda c: rewritten(c, count=2**32 - 1), "files of at most"),
        (lambda c: rewritten(c, count=10_000_000), "more than its .* bytes can hold"),
        (lambda c: rewritten(c, version=1), "version 1; versions 2, 3 and 4 are read"),
        (lambda c: rewritten(c, version=4), "version 4"),
        (lambda c: rewritten(c, degree=4), "degree 4"),
        (lambda c: rewritten(c, bits=24), "24 fractional bits"),
        (lambda c: rewritten(c, magic=b"ABCD"), "does not say NGSP"),
    ],
)
def test_bad_files_get_a_sentence(tmp_path, make_gaussians, change, words):
    content = encoded(tmp_path, make_gaussians(50, 1))
    with pytest.raises(ReconError, match=words):
        decode_spz(change(content), "a.spz")


def test_bad_version_4_files_get_a_sentence(tmp_path, make_gaussians):
    content = encoded(tmp_path, make_gaussians(50, 1), version=4)
    table = struct.unpack_from("<I", content, 16)[0]
    assert table == 32 and content[15] == 6

    def patched(offset: int, data: bytes) -> bytes:
        return content[:offset] + data + content[offset + len(data) :]

    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 24))
    cases = [
        (patched(15, b"\5"), "table of 5 streams does not fit"),
        (patched(16, b"\x10"), "does not fit"),
        (patched(16, b"\xff\xff\xff\xff"), "does not fit"),
        (patched(32, (2**63).to_bytes(8, "little")), "stream 0 does not have the size"),
        (patched(40, (2**63).to_bytes(8, "little")), "stream 0 does not have the size"),
        (patched(4, b"\5"), "version 5"),
        (content[:20], "cut off within its header"),
        (content[:40], "does not fit"),
        (content[:-1], "stream 5 does not have the size"),
        (patched(128, b"\0\0\0\0"), "stream 0 does not hold"),
        (patched(32, len(bomb).to_bytes(8, "little"))[:128] + bomb, "stream 0 does not hold the 450 bytes"),
    ]
    for damaged, words in cases:
        with pytest.raises(ReconError, match=words):
            decode_spz(damaged, "a.spz")


def test_a_bomb_is_refused_before_it_unpacks():
    """16 million Gaussians of nothing but zeros, a thousand times smaller as a file."""
    header = HEADER.pack(b"NGSP", 3, 1 << 24, 0, 12, 0, 0)
    compressor = zlib.compressobj(9, wbits=31)
    bomb = compressor.compress(header) + b"".join(compressor.compress(bytes(1 << 20)) for _ in range(320))
    bomb += compressor.flush()
    assert len(bomb) < 1 << 20
    with pytest.raises(ReconError, match=r"more than its \d+ bytes can hold"):
        decode_spz(bomb, "a.spz")


@pytest.mark.parametrize("version", [2, 3, 4])
def test_files_of_the_reference_implementation(version):
    """reference_v*.spz and reference.npz hold one cloud of 64 Gaussians, degree 3: what Niantic's encoder (commit
    21715c3) made of it as versions 2 to 4, from RDF axes, and what its decoder made of those, in RDF axes again."""
    gaussians = read_spz(GOLDEN / f"reference_v{version}.spz")
    with np.load(GOLDEN / "reference.npz", allow_pickle=False) as expected:
        for name, tensor in gaussians.tensors().items():
            coarse = version == 2 and name == "quaternions"
            known = expected["quaternions_v2" if coarse else name]
            np.testing.assert_allclose(tensor, known, atol=3e-5 if coarse else 1e-6, err_msg=name)


def test_read_names_the_file(tmp_path):
    (tmp_path / "a.spz").write_bytes(b"hello")
    with pytest.raises(ReconError, match=r"a\.spz is not a \.spz file"):
        read_spz(tmp_path / "a.spz")
