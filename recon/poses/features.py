"""Photos → features and matches, computed once and shared by every mapping attempt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.poses.colmap import load_pycolmap
from recon.poses.lens import Lens
from recon.poses.settings import PoseSettings
from recon.scene.photo import Photo

Pair = tuple[int, int]
Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction of the whole that is finished."""

LANDSCAPE_SIZE, PORTRAIT_SIZE = 800, 1000
"""Longest side in pixels at which the thresholds of `verdict` were measured."""

GUESSED_FOCAL = 1.2
"""Starting focal length over the longest side where none is known (COLMAP's default)."""


@dataclass(frozen=True, eq=False)
class PairMatches:
    """Matches of photos i < j as rows (feature in i, feature in j).

    Attributes:
        raw: all mutual, ratio-tested descriptor matches.
        verified: those that agree with one two-view geometry, found before mapping.
        only_rotation: a pure rotation or a single plane explains the verified matches.
    """

    raw: Int[ndarray, "M 2"]
    verified: Int[ndarray, "V 2"]
    only_rotation: bool = False


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features and matches of a set of photos, at a working size.

    Attributes:
        names: photo names; photos are numbered in this order.
        sizes: (width, height) of the working pictures.
        scales: full size over working size of each photo, (x, y).
        lens_of: number of the lens each photo was taken with; photos of one size and stated focal length share one.
        known_focal: focal length in working pixels for each photo where its file states one.
        keypoints: feature positions in working pixels, (0, 0) at the picture's top left corner.
        matches: for every pair of photos i < j.
        database, pictures: where COLMAP finds the same data.
    """

    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    scales: tuple[tuple[float, float], ...]
    lens_of: tuple[int, ...]
    known_focal: tuple[float | None, ...]
    keypoints: tuple[Float[ndarray, "K 2"], ...]
    matches: dict[Pair, PairMatches] = field(repr=False)
    database: Path
    pictures: Path

    @property
    def count(self) -> int:
        return len(self.names)

    def file_name(self, photo: int) -> str:
        return _file_name(photo)

    def starting_lens(self, photo: int) -> Lens:
        """Return the lens as it is known before mapping."""
        width, height = self.sizes[photo]
        focal = self.known_focal[photo] or GUESSED_FOCAL * max(width, height)
        return Lens(focal, width / 2, height / 2, 0.0, width, height)

    def verified_count(self, i: int, j: int) -> int:
        return len(self.matches[min(i, j), max(i, j)].verified)


def find_features(
    photos: Sequence[Photo], settings: PoseSettings, folder: Path, progress: Progress | None = None
) -> FeatureSet:
    """Find SIFT features in every photo and match every pair.

    Args:
        folder: an empty folder for the working pictures and COLMAP's database; the caller removes it.
    """
    pycolmap = load_pycolmap()
    pictures, database = folder / "pictures", folder / "database.db"
    pictures.mkdir()
    sizes = []
    for number, photo in enumerate(photos):
        if progress:
            progress(f"reading {photo.name}", 0.25 * number / len(photos))
        sizes.append(_write_working_picture(photo, settings.max_size, pictures / _file_name(number)))
    scales = [(p.width / w, p.height / h) for p, (w, h) in zip(photos, sizes, strict=True)]
    known_focal = [
        None if focal is None else focal / scale[0]
        for focal, scale in zip((stated_focal(p, settings) for p in photos), scales, strict=True)
    ]
    lens_of = _group_lenses(sizes, known_focal)
    if progress:
        progress("finding features", 0.25)
    _extract(pycolmap, database, pictures, sizes, lens_of, known_focal, settings)
    if progress:
        progress("matching features", 0.6)
    _match(pycolmap, database, settings)
    keypoints, matches = _read(pycolmap, database, len(photos))
    if progress:
        progress("features matched", 1.0)
    return FeatureSet(
        names=tuple(photo.name for photo in photos),
        sizes=tuple(sizes),
        scales=tuple(scales),
        lens_of=tuple(lens_of),
        known_focal=tuple(known_focal),
        keypoints=tuple(keypoints),
        matches=matches,
        database=database,
        pictures=pictures,
    )


def stated_focal(photo: Photo, settings: PoseSettings) -> float | None:
    """Return the focal length in full-size pixels that the settings or the photo's file state, if any."""
    if settings.focal_mm is not None:
        # A 35 mm frame's diagonal is 43.27 mm; "35 mm equivalent" means the same diagonal field of view (CIPA DCG-001).
        return settings.focal_mm / 43.27 * float(np.hypot(photo.width, photo.height))
    return photo.focal_pixels


def _file_name(number: int) -> str:
    return f"{number:04d}.png"


def _write_working_picture(photo: Photo, max_size: int | None, path: Path) -> tuple[int, int]:
    import cv2

    image = (
        photo.load().image
    )  # not `photo.image`, which keeps it: twelve photos of 12 megapixels take 1.7 GB
    height, width = image.shape[:2]
    longest = max_size or (PORTRAIT_SIZE if height > width else LANDSCAPE_SIZE)
    factor = min(1.0, longest / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if factor < 1.0:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    pixels = np.ascontiguousarray((np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    load_pycolmap().Bitmap.from_array(pixels).write(str(path))
    return size


def _group_lenses(sizes: Sequence[tuple[int, int]], known_focal: Sequence[float | None]) -> list[int]:
    """Number the lenses: photos of one size whose files state the same focal length (to 0.5%) share a lens."""
    groups: list[tuple[tuple[int, int], float | None]] = []
    numbers = []
    for size, focal in zip(sizes, known_focal, strict=True):
        for number, (group_size, group_focal) in enumerate(groups):
            if size == group_size and _same_focal(focal, group_focal):
                numbers.append(number)
                break
        else:
            numbers.append(len(groups))
            groups.append((size, focal))
    return numbers


def _same_focal(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= 0.005 * max(a, b)


def _extract(pycolmap, database, pictures, sizes, lens_of, known_focal, settings: PoseSettings) -> None:
    pycolmap.Database.open(database).close()  # creates the file
    for lens in sorted(set(lens_of)):
        members = [photo for photo, number in enumerate(lens_of) if number == lens]
        reader = pycolmap.ImageReaderOptions()
        reader.camera_model = "SIMPLE_RADIAL"
        reader.default_focal_length_factor = GUESSED_FOCAL
        (width, height), focal = sizes[members[0]], known_focal[members[0]]
        if focal is not None:
            reader.camera_params = f"{focal},{width / 2},{height / 2},0"
        # Imported first, and one by one, because extraction with several threads would number the photos in the order
        # in which they happen to be finished.
        pycolmap.import_images(
            database, pictures, pycolmap.CameraMode.SINGLE, [_file_name(photo) for photo in members], reader
        )
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.num_threads = _threads(settings)
    options.sift.max_num_features = settings.max_features
    names = [_file_name(photo) for photo in range(len(sizes))]
    pycolmap.extract_features(database, pictures, image_names=names, extraction_options=options)


def _match(pycolmap, database: Path, settings: PoseSettings) -> None:
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu = False
    matching.num_threads = _threads(settings)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = settings.seed
    pycolmap.match_exhaustive(database, matching_options=matching, verification_options=verification)


def _read(pycolmap, path: Path, count: int) -> tuple[list[ndarray], dict[Pair, PairMatches]]:
    configuration = pycolmap.TwoViewGeometryConfiguration
    rotation_like = {configuration.PANORAMIC, configuration.PLANAR_OR_PANORAMIC}
    database = pycolmap.Database.open(path)
    try:
        image_ids = {image.name: image.image_id for image in database.read_all_images()}
        ids = [image_ids[_file_name(photo)] for photo in range(count)]
        keypoints = [_positions(database, i) for i in ids]
        matches = {}
        for i, j in combinations(range(count), 2):
            raw, verified, only_rotation = _NO_MATCHES, _NO_MATCHES, False
            if database.exists_matches(ids[i], ids[j]):
                raw = database.read_matches(ids[i], ids[j]).astype(np.int64).reshape(-1, 2)
            if database.exists_two_view_geometry(ids[i], ids[j]):
                geometry = database.read_two_view_geometry(ids[i], ids[j])
                verified = np.asarray(geometry.inlier_matches).astype(np.int64).reshape(-1, 2)
                only_rotation = geometry.config in rotation_like
            matches[i, j] = PairMatches(raw, verified, only_rotation)
    finally:
        database.close()
    return keypoints, matches


_NO_MATCHES = np.zeros((0, 2), dtype=np.int64)


def _positions(database, image_id: int) -> Float[ndarray, "K 2"]:
    if not database.exists_keypoints(image_id):
        return np.zeros((0, 2))
    return np.asarray(database.read_keypoints(image_id), dtype=np.float64).reshape(-1, 6)[:, :2]


def _threads(settings: PoseSettings) -> int:
    import os

    return settings.threads or min(4, os.cpu_count() or 1)
