"""Finding the asked pictures among the files of a zip, and saying of every other file what is wrong with its name."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from recon.datasets.spare import ALL_LIGHTS, picture_name
from recon.submission.archive import Entry
from recon.submission.faults import Finding
from recon.submission.spare import README, Asked, AskedScene

LITTER = re.compile(r"__MACOSX|\.DS_Store|\._.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
"""Names that operating systems leave in folders."""

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".exr", ".gif"})

_PICTURE_NAME = re.compile(
    r"(?P<prefix>rect|cam)_(?P<number>\d{1,6})_(?P<light>\d{1,6})_(?P<tail>r?\d{4})",
    re.IGNORECASE | re.ASCII,
)


@dataclass
class Arrangement:
    """Which file stands for which asked picture.

    Attributes:
        pictures: entry by scene and asked file name. A wrongly named file is here too, if it is clear what it is.
        scenes: those that have a folder.
        findings: what is wrong with names and places.
    """

    pictures: dict[tuple[str, str], Entry] = field(default_factory=dict)
    scenes: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def fault(self, kind: str, file: str, sentence: str) -> None:
        self.findings.append(Finding(kind, file, sentence))

    def warn(self, kind: str, file: str, sentence: str) -> None:
        self.findings.append(Finding(kind, file, sentence, warning=True))


def arrange(entries: tuple[Entry, ...], asked: Asked) -> Arrangement:
    """Compare the files of a zip with what is asked for, by their names alone."""
    found = Arrangement()
    if not entries:
        found.fault("empty zip", "the zip", "it holds no file: put one folder per scene at its root")
        return found
    remaining = _without_litter(_without_duplicates(entries, found), found)
    scenes, elsewhere = _by_scene(remaining, asked, found)
    _judge_elsewhere(elsewhere, asked, found)
    found.scenes.update(scenes)
    present = {asked.scenes[name].half for name in scenes}
    for scene in asked.scenes.values():
        if scene.name in scenes:
            _arrange_scene(scene, scenes[scene.name], found)
        elif asked.chosen or scene.half in present:
            found.fault(
                "missing scene",
                f"{scene.name}/",
                f"this scene of the {scene.half} half is not in the zip: add its {len(scene.pictures)} pictures",
            )
    if not scenes and not asked.chosen:
        names = ", ".join(list(asked.scenes)[:6])
        found.fault(
            "missing scene", "the zip", f"it has no scene folder of {asked}; expected such as {names}"
        )
    return found


@dataclass(frozen=True)
class _Place:
    """A file of a scene: `rest` is its path inside of the scene's folder."""

    entry: Entry
    rest: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.rest[-1]


def _without_duplicates(entries: tuple[Entry, ...], found: Arrangement) -> list[Entry]:
    """Keep the first of every name; on some file systems names that differ in case only are one file."""
    same: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        same[entry.parts].append(entry)
    for several in same.values():
        if len(several) > 1:
            found.fault(
                "duplicate entry",
                several[0].name,
                f"the zip holds {len(several)} files of this name, and which one counts is chance: keep one",
            )
    folded: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for parts in same:
        folded[tuple(part.casefold() for part in parts)].append(parts)
    for spellings in folded.values():
        for parts in spellings[1:]:
            found.fault(
                "duplicate entry",
                "/".join(parts),
                f"differs from {'/'.join(spellings[0])} in upper and lower case only: keep one",
            )
    return [several[0] for several in same.values()]


def _without_litter(entries: list[Entry], found: Arrangement) -> list[Entry]:
    kept: list[Entry] = []
    litter: dict[str, int] = defaultdict(int)
    for entry in entries:
        place = next((i for i, part in enumerate(entry.parts) if LITTER.fullmatch(part)), None)
        if place is None:
            kept.append(entry)
        else:
            litter["/".join(entry.parts[: place + 1])] += 1
    for name, number in litter.items():
        files = f" ({number} files)" if number > 1 else ""
        found.warn("stray file", name, f"left by the operating system{files}: leave it out")
    if not any(entry.parts[-1].casefold() == README for entry in kept):
        found.warn(
            "missing readme", README, "add a text file with runtime per image, device and extra data used"
        )
    return kept


def _by_scene(
    entries: list[Entry], asked: Asked, found: Arrangement
) -> tuple[dict[str, list[_Place]], list[_Place]]:
    """Find the scene folder that every file is in, wherever it lies and however it is spelled.

    Returns:
        The files of every scene by its name, and the files that are in none, inside of what was meant to be the root.
    """
    spelled = {name.casefold(): name for name in (*asked.known_scenes, *asked.scenes)}
    scenes: dict[str, list[_Place]] = defaultdict(list)
    others: list[Entry] = []
    enclosing: dict[str, set[str]] = defaultdict(set)
    misspelled: dict[str, str] = {}
    for entry in entries:
        folders = [part.casefold() for part in entry.parts[:-1]]
        depth = next((i for i, folder in enumerate(folders) if folder in spelled), None)
        if depth is None or spelled[folders[depth]] not in asked.scenes:
            others.append(entry)
            continue
        name = spelled[folders[depth]]
        if depth > 0:
            enclosing["/".join(entry.parts[:depth])].add(name)
        if entry.parts[depth] != name:
            misspelled["/".join(entry.parts[: depth + 1])] = name
        scenes[name].append(_Place(entry, entry.parts[depth + 1 :]))
    for folder, names in enclosing.items():
        found.fault(
            "enclosing folder",
            f"{folder}/",
            f"{len(names)} scene folder{'s lie' if len(names) > 1 else ' lies'} inside of this folder: put scene "
            "folders at the root of the zip, that is, zip the folder's content and not the folder",
        )
    for written, name in misspelled.items():
        found.fault("case differs", f"{written}/", f"the scene is called {name}: upper and lower case count")
    roots = {tuple(folder.split("/")) for folder in enclosing}
    return dict(scenes), [_inside(entry, roots) for entry in others]


def _inside(entry: Entry, roots: set[tuple[str, ...]]) -> _Place:
    """Take the longest of these folders off the front of a file's path."""
    depths = range(len(entry.parts) - 1, 0, -1)
    depth = next((depth for depth in depths if entry.parts[:depth] in roots), 0) if roots else 0
    return _Place(entry, entry.parts[depth:])


def _judge_elsewhere(places: list[_Place], asked: Asked, found: Arrangement) -> None:
    """Judge the files that are in no asked scene's folder."""
    folders: dict[str, list[_Place]] = defaultdict(list)
    known = {name.casefold(): name for name in asked.known_scenes}
    for place in places:
        if len(place.rest) == 1:
            _judge_at_root(place, found)
        else:
            scene = next((part for part in place.rest[:-1] if part.casefold() in known), place.rest[0])
            folders[scene].append(place)
    for folder, inside in folders.items():
        pictures = [place for place in inside if _suffix(place.name) in PICTURE_SUFFIXES]
        if not pictures:
            found.warn("stray file", f"{folder}/", f"{asked} asks for nothing in it: leave it out")
            continue
        belongs = asked.known_scenes.get(known.get(folder.casefold(), ""), ())
        if not belongs:
            why = f"it is no scene of {asked}"
        elif (asked.track, asked.split) in belongs:
            why = "it is not among the chosen scenes"
        else:
            track, split = belongs[0]
            why = f"it belongs to track {track}, {split}, not to {asked}"
        found.fault(
            "extra scene",
            f"{folder}/",
            f"{why}: leave out this folder with its {len(pictures)} picture{'s' * (len(pictures) > 1)}",
        )


def _judge_at_root(place: _Place, found: Arrangement) -> None:
    if place.name.casefold() == README:
        if place.name != README:
            found.warn("case differs", place.entry.name, f"call it {README}")
    elif _suffix(place.name) in PICTURE_SUFFIXES:
        found.fault(
            "wrong place", place.entry.name, "lies in no scene's folder: put it in the folder of its scene"
        )
    else:
        found.warn("stray file", place.entry.name, "is not asked for: leave it out")


def _arrange_scene(scene: AskedScene, places: list[_Place], found: Arrangement) -> None:
    for folder in sorted({"/".join(place.entry.parts[:-1]) for place in places if len(place.rest) > 1}):
        found.fault(
            "nested folder", f"{folder}/", f"pictures lie directly in {scene.name}/: move its files up there"
        )
    exact = {place.name: place for place in places if place.name in scene.pictures and len(place.rest) == 1}
    shift = _index_shift(scene, places)
    if shift:
        found.fault(
            "wrong index base",
            f"{scene.name}/",
            f"every file number is {abs(shift)} too {'small' if shift > 0 else 'large'}: a file's number is the view's "
            f"index, counted from 0, plus 1 (view 13 is {picture_name(13, scene.half)}); "
            f"{'add 1 to' if shift > 0 else 'subtract 1 from'} every number",
        )
        exact = {}
    for name, place in exact.items():
        found.pictures[scene.name, name] = place.entry
    for place in places:
        if exact.get(place.name) is not place:
            _judge_name(scene, place, shift, found)
    for view, name in zip(scene.test_views, scene.pictures, strict=True):
        if (scene.name, name) not in found.pictures:
            found.fault(
                "missing view", f"{scene.name}/{name}", f"is not in the zip: render view {view} and add it"
            )


def _index_shift(scene: AskedScene, places: list[_Place]) -> int:
    """Return 1 when all numbers are view indices without the 1 added, -1 when it was added twice, else 0."""
    numbers = {
        int(match["number"])
        for place in places
        if _suffix(place.name) in PICTURE_SUFFIXES and (match := _parsed(place.name))
    }
    if numbers <= scene.numbers or 2 * len(numbers) < len(scene.numbers):
        return 0
    return next((shift for shift in (1, -1) if {n + shift for n in numbers} <= scene.numbers), 0)


def _judge_name(scene: AskedScene, place: _Place, shift: int, found: Arrangement) -> None:
    """Say what is wrong with a file that does not lie where an asked picture lies, and what it stands for."""
    entry, name = place.entry, place.name
    match = _parsed(name)
    if _suffix(name) not in PICTURE_SUFFIXES:
        found.warn("stray file", entry.name, "is not asked for: leave it out")
        return
    if match is None:
        found.fault(
            "wrong name",
            entry.name,
            f"is not a name of the protocol: expected one such as {scene.pictures[0]}; rename it, or leave it out",
        )
        return
    number = int(match["number"]) + shift
    view = number - 1
    right = picture_name(view, scene.half) if view >= 0 else ""
    if number not in scene.numbers:
        whose = "is an input view" if view in scene.input_views else "is not among the test views"
        found.fault("extra view", entry.name, f"view {view} {whose} of {scene.name}: leave it out")
        return
    if (scene.name, right) in found.pictures:
        found.fault(
            "extra view",
            entry.name,
            f"is a second picture of view {view} beside {scene.name}/{right}: leave it out{_light_note(match)}",
        )
        return
    found.pictures[scene.name, right] = entry
    for kind, sentence in _misspellings(match, PurePosixPath(name), right, scene):
        found.fault(kind, entry.name, f"{sentence}; expected {scene.name}/{right}")


def _misspellings(
    match: re.Match[str], name: PurePosixPath, right: str, scene: AskedScene
) -> list[tuple[str, str]]:
    """Say in what a name differs from the right one, apart from the number's value."""
    wanted = _PICTURE_NAME.match(right)
    assert wanted is not None
    found = []
    if match["prefix"].lower() != wanted["prefix"]:
        found.append(
            (
                "wrong name",
                f"begins with {match['prefix']}_, but pictures of the {scene.half} half with {wanted['prefix']}_",
            )
        )
    elif match["tail"].lower() != wanted["tail"]:
        found.append(
            (
                "wrong name",
                f"ends in _{match['tail']}, but pictures of the {scene.half} half in _{wanted['tail']}",
            )
        )
    if int(match["light"]) != ALL_LIGHTS:
        found.append(
            (
                "wrong light",
                f"is named as light {int(match['light'])}, but only light {ALL_LIGHTS} (all lamps on) is evaluated",
            )
        )
    elif match["light"] != wanted["light"]:
        found.append(("wrong name", f"the light is written {wanted['light']}"))
    if len(match["number"]) != len(wanted["number"]):
        found.append(("wrong name", "file numbers have three digits"))
    if name.suffix.lower() != ".png":
        found.append(
            (
                "wrong file type",
                f"ends in {name.suffix}, but pictures are PNG: write it as PNG; renaming is not enough",
            )
        )
    if name.stem != name.stem.lower() or (
        name.suffix != name.suffix.lower() and name.suffix.lower() == ".png"
    ):
        found.append(("case differs", "upper and lower case count"))
    return found


def _light_note(match: re.Match[str]) -> str:
    light = int(match["light"])
    return (
        ""
        if light == ALL_LIGHTS
        else f" (it is named as light {light}, only light {ALL_LIGHTS} is evaluated)"
    )


def _parsed(name: str) -> re.Match[str] | None:
    return _PICTURE_NAME.fullmatch(PurePosixPath(name).stem)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
