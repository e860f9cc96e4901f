"""Checking a submission: names first, then every picture, each fault by its name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recon.datasets.spare import picture_name
from recon.submission.archive import Archive, DamagedEntryError, Entry, open_archive
from recon.submission.arrange import Arrangement, arrange
from recon.submission.faults import Finding, HalfCount, Verdict
from recon.submission.png import UnfitPictureError, read_png
from recon.submission.spare import HALVES, SIZE, Asked, AskedScene, scene_pictures, uncalibrated

if TYPE_CHECKING:
    from PIL.Image import Image


def check_submission(path: Path, asked: Asked, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Compare a zip with what a track's split asks for.

    Args:
        progress: is told how many pictures of how many were looked at.

    Returns:
        All that is wrong with it, and how much it holds.

    Raises:
        ReconError: when the file is no zip, could harm whoever unpacks it, or split and calibration do not belong
            together.
    """
    with open_archive(path) as archive:
        arrangement = arrange(archive.entries, asked)
        findings = [*arrangement.findings, *_calibration_findings(asked, arrangement)]
        checked = _PictureCheck(archive, asked)
        for done, ((scene, name), entry) in enumerate(arrangement.pictures.items()):
            if progress is not None:
                progress(done, len(arrangement.pictures))
            findings += checked.look(asked.scenes[scene], name, entry)
    return Verdict(Path(path), str(asked), _halves(asked, arrangement, findings), tuple(findings))


def _calibration_findings(asked: Asked, arrangement: Arrangement) -> list[Finding]:
    """Compare split and calibration for the halves that the zip holds."""
    held = {asked.scenes[scene].half for scene in arrangement.scenes}
    return [
        Finding("no calibration", asked.folder.name, f"{problem}; views were not checked against it", True)
        for problem in uncalibrated(asked, [half for half in HALVES if half in held])
    ]


@dataclass(frozen=True)
class _Seen:
    file: str
    what: str


class _PictureCheck:
    """Looks at one picture after the other and remembers which pixels it saw."""

    def __init__(self, archive: Archive, asked: Asked) -> None:
        self._archive = archive
        self._folders = scene_pictures(asked)
        self._originals: dict[str, dict[bytes, _Seen]] = {}
        self._submitted: dict[bytes, str] = {}

    def look(self, scene: AskedScene, name: str, entry: Entry) -> list[Finding]:
        try:
            picture = read_png(self._archive.read(entry), SIZE)
        except DamagedEntryError as problem:
            kind = "encrypted" if entry.encrypted else "damaged entry"
            return [Finding(kind, entry.name, f"it {problem}")]
        except UnfitPictureError as problem:
            return [Finding(problem.kind, entry.name, str(problem))]
        return [Finding(kind, entry.name, said, True) for kind, said in self._oddities(scene, entry, picture)]

    def _oddities(self, scene: AskedScene, entry: Entry, picture: Image) -> list[tuple[str, str]]:
        """Return what no renderer would give, though the protocol does not forbid it."""
        lows, highs = zip(*picture.getextrema(), strict=True)
        if lows == highs:
            color = "black" if not any(highs) else f"of one colour, {lows}"
            return [("empty picture", f"every pixel is {color}: was the scene rendered?")]
        pixels = _fingerprint(picture)
        original = self._originals_of(scene).get(pixels)
        if original is not None:
            return [("copied picture", f"is pixel for pixel {original.what} {original.file}, not a render")]
        other = self._submitted.setdefault(pixels, entry.name)
        if other != entry.name:
            return [("repeated picture", f"is pixel for pixel the same as {other}, which is of another view")]
        return []

    def _originals_of(self, scene: AskedScene) -> dict[bytes, _Seen]:
        """Return the pictures of a scene that the folder holds, by their pixels."""
        if scene.name not in self._originals:
            seen: dict[bytes, _Seen] = {}
            folder = self._folders.get(scene.name)
            views = dict.fromkeys(scene.input_views, "the input")
            views |= dict.fromkeys(scene.test_views, "the held-out photo")
            for view, what in views.items():
                file = None if folder is None else folder / picture_name(view, scene.half)
                if file is not None and file.is_file():
                    try:
                        seen.setdefault(
                            _fingerprint(read_png(file.read_bytes(), SIZE)), _Seen(file.name, what)
                        )
                    except (OSError, UnfitPictureError):
                        continue  # the folder's own pictures are not what is checked here
            self._originals[scene.name] = seen
        return self._originals[scene.name]


def _fingerprint(picture: Image) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=16).digest()


def _halves(asked: Asked, arrangement: Arrangement, findings: list[Finding]) -> dict[str, HalfCount]:
    faulty = {finding.file for finding in findings if not finding.warning}
    halves = {}
    for half in HALVES:
        scenes = asked.of_half(half)
        if not scenes:
            continue
        held = [key for key in arrangement.pictures if asked.scenes[key[0]].half == half]
        sound = [key for key in held if arrangement.pictures[key].name not in faulty]
        halves[half] = HalfCount(
            scenes=sum(scene.name in arrangement.scenes for scene in scenes),
            scenes_asked=len(scenes),
            pictures=len(sound),
            pictures_asked=sum(len(scene.pictures) for scene in scenes),
        )
    return halves
