import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from make_pictures import smooth_picture, write_picture
from PIL import Image

from recon.datasets import PictureSize, open_photos
from recon.errors import ReconError

pillow_heif.register_heif_opener()


def test_mixed_formats_and_sizes_in_name_order(tmp_path: Path) -> None:
    write_picture(tmp_path / "c.HEIC", 64, 48, seed=1)
    write_picture(tmp_path / "a.jpg", 48, 32, seed=2)
    write_picture(tmp_path / "b.png", 20, 30, seed=3)
    write_picture(tmp_path / ".hidden.jpg", seed=4)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "folder.jpg").mkdir()
    photos = open_photos(tmp_path)
    assert (
        photos.name == tmp_path.name
        and photos.names == ("a.jpg", "b.png", "c.HEIC")
        and photos.warnings == ()
    )
    for photo, size in zip(photos, [(48, 32), (20, 30), (64, 48)], strict=True):
        assert (photo.width, photo.height) == size and photo.focal_pixels is None
        assert photo.image.shape == (size[1], size[0], 3) and photo.image.dtype == np.float32
        assert photo.mask is None


def test_turned_photos_are_upright_and_focal_lengths_follow_the_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 28
    pixels = write_picture(tmp_path / "a.png", 80, 60, exif=exif)
    write_picture(tmp_path / "b.png", 80, 60, seed=1)
    photo = open_photos(tmp_path).photos[0]
    full_focal = 28 / np.hypot(36, 24) * 100
    assert (photo.width, photo.height) == (60, 80) and photo.focal_pixels == pytest.approx(full_focal)
    np.testing.assert_allclose(photo.image, pixels.transpose(1, 0, 2)[:, ::-1] / 255, atol=1e-6)
    small = open_photos(tmp_path, PictureSize(max_size=40)).photos[0]
    assert (small.width, small.height) == (30, 40) and small.focal_pixels == pytest.approx(full_focal / 2)
    assert small.image.shape == (40, 30, 3)


def test_alpha_becomes_the_mask_with_white_behind(tmp_path: Path) -> None:
    pixels = smooth_picture(32, 24)
    alpha = np.zeros((24, 32), np.uint8)
    alpha[4:12, 6:30] = 255
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "a.webp", lossless=True, exact=True)
    write_picture(tmp_path / "b.png")
    photo = open_photos(tmp_path).photos[0]
    np.testing.assert_array_equal(photo.mask, alpha == 255)
    np.testing.assert_allclose(photo.image[photo.mask], pixels[alpha == 255] / 255, atol=1e-6)
    assert (photo.image[~photo.mask] == 1).all()


def test_photos_are_found_in_an_images_folder(tmp_path: Path) -> None:
    for number in range(2):
        write_picture(tmp_path / "images" / f"{number}.jpg", seed=number)
    (tmp_path / "readme.txt").write_text("about")
    assert open_photos(tmp_path).names == ("0.jpg", "1.jpg")


def test_nothing_in_the_folder_changes(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / f"{number}.jpg", seed=number)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    for photo in open_photos(tmp_path, PictureSize(downscale=2)):
        assert photo.image.size
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}


def test_no_photos(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match=r"has no photos: it is empty\. Photos end in \.avif, \.bmp, \.heic"):
        open_photos(tmp_path)
    (tmp_path / "raw.cr2").write_bytes(b"x")
    (tmp_path / "more.cr2").write_bytes(b"x")
    with pytest.raises(ReconError, match=r"has no photos: it holds 2 \.cr2"):
        open_photos(tmp_path)


def test_one_photo(tmp_path: Path) -> None:
    write_picture(tmp_path / "only.jpg")
    with pytest.raises(
        ReconError, match=r"has only one photo \(only\.jpg\): take at least one more from another"
    ):
        open_photos(tmp_path)


def test_copies_are_left_out_with_a_warning(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    shutil.copy(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with pytest.raises(ReconError, match=r"has only one different photo \(a\.jpg\)"):
        open_photos(tmp_path)
    write_picture(tmp_path / "c.jpg", seed=1)
    photos = open_photos(tmp_path)
    assert photos.names == ("a.jpg", "c.jpg")
    assert photos.warnings == ("b.jpg is a copy of a.jpg and was left out",)


def test_bad_files_among_the_photos(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("dear diary")
    with pytest.raises(ReconError, match=r"b\.jpg is not a picture"):
        open_photos(tmp_path)
    (tmp_path / "b.jpg").unlink()
    (tmp_path / "b.jpg").symlink_to(tmp_path / "moved away.jpg")
    with pytest.raises(ReconError, match=r"b\.jpg cannot be read: No such file"):
        open_photos(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
def test_forbidden_files(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    write_picture(tmp_path / "b.jpg", seed=1)
    (tmp_path / "b.jpg").chmod(0)
    with pytest.raises(ReconError, match=r"b\.jpg cannot be read: Permission denied"):
        open_photos(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    shutil.copy(tmp_path / "a.jpg", os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    with pytest.raises(
        ReconError, match=r"name of photo b'caf\\xe9\.jpg' is not valid UTF-8: rename it"
    ) as error:
        open_photos(tmp_path)
    str(error.value).encode("utf-8")


def test_not_a_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    with pytest.raises(ReconError, match="is a file: give the folder"):
        open_photos(tmp_path / "a.jpg")
    with pytest.raises(ReconError, match="does not exist"):
        open_photos(tmp_path / "none")
