import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from make_pictures import smooth_picture, write_picture
from PIL import Image, ImageCms, ImageFile, features

from recon.datasets.decode import DIAGONAL_35MM, decode, read_header, shown
from recon.errors import ReconError

pillow_heif.register_heif_opener()

ORIENTATION = 0x0112
TOLERANCE = {".png": 0, ".tif": 0, ".bmp": 0, ".jpg": 12, ".webp": 16, ".heic": 14, ".avif": 14}

# What each EXIF orientation does to a picture so that it is upright again, as numpy sees it (rows, columns).
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[:, ::-1],
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda p: p.transpose(1, 0, 2)[::-1],
}


def assert_close(found, expected, tolerance: float) -> None:
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found * 255 - expected).max() <= tolerance + 0.01


@pytest.mark.parametrize("suffix", TOLERANCE)
def test_every_format_gives_its_pixels(tmp_path: Path, suffix: str) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    pixels = write_picture(tmp_path / f"a{suffix}", 48, 32)
    header = read_header(tmp_path / f"a{suffix}")
    assert (header.width, header.height, header.turned, header.focal_pixels) == (48, 32, False, None)
    picture = decode(tmp_path / f"a{suffix}")
    assert picture.alpha is None
    assert_close(picture.color, pixels, TOLERANCE[suffix])


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_every_orientation_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = write_picture(path, 48, 32, exif=exif)
    upright = UPRIGHT[orientation](pixels)
    header = read_header(path)
    assert (header.width, header.height) == (48, 32)
    assert header.upright_size == upright.shape[1::-1]
    assert_close(decode(path).color, upright, TOLERANCE[suffix])
    assert_close(decode(path, upright=False).color, pixels, TOLERANCE[suffix])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_heic_is_upright_once(tmp_path: Path, orientation: int) -> None:
    """libheif applies the turn that the file states; the EXIF tag must not turn it a second time."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = write_picture(tmp_path / "a.heic", 64, 48, exif=exif.tobytes())
    upright = UPRIGHT[orientation](pixels)
    assert read_header(tmp_path / "a.heic").upright_size == upright.shape[1::-1]
    assert_close(decode(tmp_path / "a.heic").color, upright, TOLERANCE[".heic"])


def test_gray_palette_and_one_bit(tmp_path: Path) -> None:
    pixels = smooth_picture(32, 24)
    gray = Image.fromarray(pixels).convert("L")
    gray.save(tmp_path / "gray.png")
    gray.save(tmp_path / "gray.jpg", quality=95)
    assert_close(decode(tmp_path / "gray.png").color, np.asarray(gray.convert("RGB")), 0)
    assert_close(decode(tmp_path / "gray.jpg").color, np.asarray(gray.convert("RGB")), 6)
    palette = Image.fromarray(pixels).quantize(16)
    palette.save(tmp_path / "palette.png")
    assert_close(decode(tmp_path / "palette.png").color, np.asarray(palette.convert("RGB")), 0)
    gray.convert("1").save(tmp_path / "one_bit.png")
    assert set(np.unique(decode(tmp_path / "one_bit.png").color)) == {0.0, 1.0}


def test_cmyk_jpeg(tmp_path: Path) -> None:
    pixels = smooth_picture(32, 24)
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    assert_close(decode(tmp_path / "a.jpg").color, pixels, 8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_gray_is_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 32 * 24).astype(np.uint16).reshape(24, 32)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    color = decode(tmp_path / f"a{suffix}").color
    np.testing.assert_allclose(color, np.repeat(values[:, :, None] / 65535, 3, axis=2), atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_color(tmp_path: Path, suffix: str) -> None:
    import cv2

    values = (smooth_picture(32, 24).astype(np.uint16) * 257)[:, :, ::-1]
    assert cv2.imwrite(str(tmp_path / f"a{suffix}"), values)
    assert_close(decode(tmp_path / f"a{suffix}").color, values[:, :, ::-1] / 257, 1)


def test_transparency_becomes_alpha(tmp_path: Path) -> None:
    pixels = smooth_picture(32, 24)
    alpha = np.zeros((24, 32), np.uint8)
    alpha[5:15, 8:20] = 255
    alpha[5, 8:20] = 51
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "a.png")
    picture = decode(tmp_path / "a.png")
    assert_close(picture.color, pixels, 0)
    np.testing.assert_allclose(picture.alpha, alpha / 255, atol=1e-6)
    palette = Image.fromarray(pixels).quantize(8)
    palette.save(tmp_path / "p.png", transparency=3)
    picture = decode(tmp_path / "p.png")
    np.testing.assert_array_equal(picture.alpha == 0, np.asarray(palette) == 3)


def test_a_color_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """Mid gray in a linear space is bright in sRGB; sRGB itself and broken profiles change nothing."""
    linear = _linear_profile()
    Image.new("RGB", (8, 8), (128, 128, 128)).save(tmp_path / "a.png", icc_profile=linear)
    np.testing.assert_allclose(decode(tmp_path / "a.png").color, 188 / 255, atol=2.5 / 255)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = write_picture(tmp_path / "s.png", icc_profile=srgb)
    assert_close(decode(tmp_path / "s.png").color, pixels, 0)
    pixels = write_picture(tmp_path / "broken.png", icc_profile=b"not a profile at all")
    assert_close(decode(tmp_path / "broken.png").color, pixels, 0)


def test_focal_length_from_the_35mm_equivalent(tmp_path: Path) -> None:
    path = _with_exif(tmp_path, {0xA405: 35, 0x920A: 5.85})
    expected = 35 / DIAGONAL_35MM * np.hypot(48, 32)
    assert read_header(path).focal_pixels == pytest.approx(expected)


def test_focal_length_from_the_sensor_resolution(tmp_path: Path) -> None:
    # A 22.3 mm wide sensor with 4800 pixels across, shrunk to 48: 50 mm are 50 / 22.3 * 48 pixels.
    tags = {0x920A: 50.0, 0xA20E: 4800 / (22.3 / 25.4), 0xA210: 2, 0xA002: 4800, 0xA003: 3200}
    assert read_header(_with_exif(tmp_path, tags)).focal_pixels == pytest.approx(50 / 22.3 * 48, rel=1e-4)
    tags = {**tags, 0xA20E: 4800 / 2.23, 0xA210: 3}
    assert read_header(_with_exif(tmp_path, tags)).focal_pixels == pytest.approx(50 / 22.3 * 48, rel=1e-4)


@pytest.mark.parametrize("tags", [{0xA405: 0}, {0x920A: 50.0}, {0xA405: 60000}, {0x920A: 50.0, 0xA20E: 0.0}])
def test_useless_focal_tags_say_nothing(tmp_path: Path, tags: dict) -> None:
    assert read_header(_with_exif(tmp_path, tags)).focal_pixels is None


def test_a_text_file_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_text("these are my notes")
    for read in (read_header, decode):
        with pytest.raises(
            ReconError, match=r"holiday\.jpg is not a picture, .*starts with b'these are my not'"
        ):
            read(path)
    path.write_bytes(b"")
    with pytest.raises(ReconError, match="it is empty"):
        decode(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic"])
def test_a_truncated_picture_is_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    random = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(random).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ReconError, match=r"cut\.\w+ is (damaged|not a picture)"):
        decode(path)


def test_a_huge_header_is_refused_before_decoding(tmp_path: Path) -> None:
    for side in (13_000, 30_000, 300_000):
        path = tmp_path / "huge.png"
        path.write_bytes(_png_header(side, side))
        for read in (read_header, decode):
            with pytest.raises(ReconError, match=r"huge\.png claims .* more than the 150 million"):
                read(path)


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match=r"gone\.jpg cannot be read: No such file"):
        decode(tmp_path / "gone.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ReconError, match=r"folder\.jpg cannot be read: Is a directory"):
        decode(tmp_path / "folder.jpg")


def test_floating_point_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(ReconError, match="floating-point values of unknown range"):
        decode(tmp_path / "f.tif")


def test_any_file_name_can_be_shown() -> None:
    assert shown(Path(os.fsdecode(b"caf\xe9.jpg"))) == "caf\ufffd.jpg"
    shown(Path(os.fsdecode(b"caf\xe9.jpg"))).encode("utf-8")


def _with_exif(folder: Path, tags: dict) -> Path:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    write_picture(folder / "a.jpg", 48, 32, exif=exif)
    return folder / "a.jpg"


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100))


def _linear_profile() -> bytes:
    """Return an sRGB profile whose tone curves are replaced by the identity."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    for entry in range(count):
        tag, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            curve = b"curv" + struct.pack(">II", 0, 0)  # no entries: the identity
            profile[offset : offset + len(curve)] = curve
            struct.pack_into(">I", profile, 132 + 12 * entry + 8, len(curve))
        if tag == b"desc":
            text = bytes(profile[offset : offset + size])
            profile[offset : offset + size] = text.replace(
                "sRGB".encode("utf-16-be"), "line".encode("utf-16-be")
            )
    return bytes(profile)


@pytest.mark.parametrize("behind", [False, True])
def test_png_exif_is_found_before_and_behind_the_pixels(tmp_path: Path, behind: bool) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "a.png"
    write_picture(path, 48, 32, exif=exif)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    length = int.from_bytes(content[start : start + 4], "big") + 12
    chunk, rest = content[start : start + length], content[:start] + content[start + length :]
    place = rest.index(b"IEND" if behind else b"IDAT") - 4
    path.write_bytes(rest[:place] + chunk + rest[place:])
    assert read_header(path).upright_size == (32, 48)
    assert decode(path).color.shape == (48, 32, 3)


def test_a_png_header_costs_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    write_picture(tmp_path / "a.png", 48, 32)
    write_picture(tmp_path / "b.png", 48, 32, exif=exif)
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image.size))
    assert read_header(tmp_path / "a.png").upright_size == (48, 32)
    assert read_header(tmp_path / "b.png").upright_size == (32, 48)
    assert decoded == []
