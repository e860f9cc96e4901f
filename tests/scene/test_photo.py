import numpy as np
import pytest

from recon.errors import ReconError
from recon.scene import Camera, Photo, PhotoSet, Pixels


def make_photo(name: str, loads: list[str]) -> Photo:
    def load() -> Pixels:
        loads.append(name)
        return Pixels(np.full((4, 6, 3), 0.5, dtype=np.float32))

    return Photo(name, 6, 4, 5.0, load)


def test_a_view_shares_the_photos_pixels_and_loads_once() -> None:
    loads: list[str] = []
    photo = make_photo("a.jpg", loads)
    view = photo.view(Camera(np.eye(4), 5, 5, 3, 2, 6, 4))
    assert view.name == "a.jpg" and loads == []
    assert view.image is photo.image
    assert loads == ["a.jpg"]


def test_a_camera_of_another_size_is_refused() -> None:
    with pytest.raises(ReconError, match=r"a.jpg is 6x4, but its camera is for 12x8"):
        make_photo("a.jpg", []).view(Camera(np.eye(4), 5, 5, 3, 2, 12, 8))


def test_only_keeps_order_and_names_what_is_missing() -> None:
    photos = PhotoSet("shelf", tuple(make_photo(name, []) for name in ("a.jpg", "b.jpg", "c.jpg")))
    assert photos.only(["c.jpg", "a.jpg"]).names == ("a.jpg", "c.jpg")
    with pytest.raises(ReconError, match=r"shelf holds no photo called d.jpg"):
        photos.only(["d.jpg"])
