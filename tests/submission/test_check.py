"""Every fault that a submission can have is named: by its kind, its file, and what to do."""

import io
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from submission_cases import chunk, header, png, valid_submission, with_chunk, write_zip

from recon.cli.main import main
from recon.errors import ReconError
from recon.submission.check import check_submission
from recon.submission.spare import asked

Files = dict[str, bytes]

A = "scan1/rect_003_3_r5000.png"
B = "scan1/rect_006_3_r5000.png"
JENGA = "Jenga/cam_006_3_0000.png"


def test_a_valid_submission_has_no_finding(tmp_path, valid, development):
    verdict = check_submission(write_zip(tmp_path / "a.zip", valid), development)
    assert verdict.passed and verdict.findings == ()
    assert verdict.lines() == [
        "a.zip as a submission to SpaRe track 1, development",
        "  DTU: 2 of 2 scenes, 5 of 5 pictures are as they should be",
        "  Synthetic: 1 of 1 scenes, 2 of 2 pictures are as they should be",
        "verdict: valid (0 faults, 0 warnings)",
    ]


@pytest.mark.parametrize("half", ["DTU", "Synthetic"])
def test_a_half_alone_is_valid(tmp_path, valid, development, half):
    scenes = {scene.name for scene in development.of_half(half)}
    files = {
        name: content for name, content in valid.items() if name.split("/")[0] in {*scenes, "readme.txt"}
    }
    verdict = check_submission(write_zip(tmp_path / "half.zip", files), development)
    assert verdict.passed and verdict.findings == ()
    other = "Synthetic" if half == "DTU" else "DTU"
    assert f"  {other}: not in the zip; that is allowed, the halves are scored separately" in verdict.lines()


def test_interlaced_pictures_are_fine(tmp_path, valid, development):
    pixels = zlib.compress(bytes(_interlaced_bytes(1600, 1200)), 9)
    ihdr = struct.pack(">IIBBBBB", 1600, 1200, 8, 2, 0, 0, 1)
    content = header(1, 1)[:8] + chunk(b"IHDR", ihdr) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    verdict = check_submission(write_zip(tmp_path / "a.zip", {**valid, A: content}), development)
    assert verdict.passed and [finding.kind for finding in verdict.findings] == ["empty picture"]


def _interlaced_bytes(width: int, height: int) -> int:
    """Count the bytes of the seven passes pixel by pixel: three per pixel, one per row that has any."""
    order = np.array(
        [
            [1, 6, 4, 6, 2, 6, 4, 6],
            [7, 7, 7, 7, 7, 7, 7, 7],
            [5, 6, 5, 6, 5, 6, 5, 6],
            [7, 7, 7, 7, 7, 7, 7, 7],
            [3, 6, 4, 6, 3, 6, 4, 6],
            [7, 7, 7, 7, 7, 7, 7, 7],
            [5, 6, 5, 6, 5, 6, 5, 6],
            [7, 7, 7, 7, 7, 7, 7, 7],
        ]
    )
    passes = np.tile(order, (height // 8, width // 8))
    rows = sum(int((passes == number).any(axis=1).sum()) for number in range(1, 8))
    return 3 * width * height + rows


def test_stored_entries_folders_and_dot_names_are_fine(tmp_path, valid, development):
    files = {"scan1/": b"", **{f"./{name}": content for name, content in valid.items()}}
    path = write_zip(tmp_path / "a.zip", files, compression=zipfile.ZIP_STORED)
    assert check_submission(path, development).findings == ()


@dataclass(frozen=True)
class Seeded:
    """A fault put into a valid submission.

    Attributes:
        change: alters the files; what it returns, if anything, replaces them.
        told: (kind, file, part of the sentence) of every finding that must result, and no other may.
    """

    change: Callable[[Files], Files | list | None]
    told: list[tuple[str, str, str]]
    warning: bool = False


def renamed(old: str, new: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[new] = files.pop(old)

    return change


def replaced(name: str, content: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[name] = content(files[name])

    return change


def added(name: str, content: bytes = b"x") -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[name] = content

    return change


def without(*starts: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for name in [name for name in files if name.startswith(starts)]:
            del files[name]

    return change


def inside(folder: str) -> Callable[[Files], Files]:
    return lambda files: {f"{folder}/{name}": content for name, content in files.items()}


def renumbered(shift: int, scenes: tuple[str, ...]) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        result = {}
        for name, content in files.items():
            folder, _, file = name.partition("/")
            if folder in scenes:
                prefix, number, light, tail = file.split("_")
                name = f"{folder}/{prefix}_{int(number) + shift:03d}_{light}_{tail}"
            result[name] = content
        return result

    return change


def twice(name: str) -> Callable[[Files], list]:
    return lambda files: [*files.items(), (name, files[name])]


def sixteen_bit(_: bytes) -> bytes:
    import cv2

    return cv2.imencode(".png", np.full((1200, 1600, 3), 1000, np.uint16))[1].tobytes()


def damaged_pixels(content: bytes) -> bytes:
    """Flip a byte in the middle of the pixel data and leave the checksum as it was."""
    middle = content.index(b"IDAT") + 60
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def too_few_rows(_: bytes) -> bytes:
    """A PNG with sound checksums whose pixel data ends early."""
    pixels = zlib.compress((b"\0" + bytes(4800)) * 7)
    return header(1600, 1200) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def two_headers(content: bytes) -> bytes:
    return with_chunk(content, b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0))


FAULTS: dict[str, Seeded] = {
    "a view is missing": Seeded(without(A), [("missing view", A, "is not in the zip: render view 2")]),
    "an input view is submitted": Seeded(
        added("scan1/rect_002_3_r5000.png", png("extra")),
        [("extra view", "scan1/rect_002_3_r5000.png", "view 1 is an input view of scan1: leave it out")],
    ),
    "a view that nobody asked for": Seeded(
        added("scan1/rect_010_3_r5000.png", png("extra")),
        [("extra view", "scan1/rect_010_3_r5000.png", "view 9 is not among the test views")],
    ),
    "half size": Seeded(
        replaced(A, lambda _: png("a", (800, 600))),
        [("wrong size", A, "800x600 pixels: render it at 1600x1200")],
    ),
    "upright": Seeded(replaced(A, lambda _: png("a", (1200, 1600))), [("wrong size", A, "1200x1600")]),
    "RGBA": Seeded(
        replaced(A, lambda _: png("a", mode="RGBA")), [("not 8-bit RGB", A, "it is RGBA with 8 bits")]
    ),
    "grey": Seeded(
        replaced(A, lambda _: png("a", mode="L")), [("not 8-bit RGB", A, "it is grey with 8 bits")]
    ),
    "palette": Seeded(replaced(A, lambda _: png("a", mode="P")), [("not 8-bit RGB", A, "it is palette")]),
    "grey with transparency": Seeded(
        replaced(A, lambda _: png("a", mode="LA")), [("not 8-bit RGB", A, "grey with transparency")]
    ),
    "16 bit": Seeded(replaced(A, sixteen_bit), [("not 8-bit RGB", A, "it is RGB with 16 bits")]),
    "a transparent colour": Seeded(
        replaced(A, lambda content: with_chunk(content, b"tRNS", bytes(6))),
        [("not 8-bit RGB", A, "it has a transparent colour")],
    ),
    "an animation": Seeded(
        replaced(A, lambda content: with_chunk(content, b"acTL", bytes(8))),
        [("wrong file type", A, "it is an animation")],
    ),
    "an enclosing folder": Seeded(
        inside("submission"),
        [("enclosing folder", "submission/", "3 scene folders lie inside of this folder")],
    ),
    "two enclosing folders": Seeded(
        inside("home/me"), [("enclosing folder", "home/me/", "put scene folders at the root")]
    ),
    "view indices as file numbers": Seeded(
        renumbered(-1, ("scan1", "scan2", "Jenga")),
        [
            ("wrong index base", "scan1/", "every file number is 1 too small"),
            ("wrong index base", "scan2/", "(view 13 is rect_014_3_r5000.png); add 1"),
            ("wrong index base", "Jenga/", "(view 13 is cam_014_3_0000.png); add 1"),
        ],
    ),
    "1 added twice": Seeded(
        renumbered(1, ("scan1",)), [("wrong index base", "scan1/", "every file number is 1 too large")]
    ),
    "wrong index base and a view missing": Seeded(
        lambda files: renumbered(-1, ("scan1",))({n: c for n, c in files.items() if n != A}),
        [("wrong index base", "scan1/", "too small"), ("missing view", A, "render view 2")],
    ),
    "another light": Seeded(
        renamed(A, "scan1/rect_003_2_r5000.png"),
        [
            (
                "wrong light",
                "scan1/rect_003_2_r5000.png",
                f"but only light 3 (all lamps on) is evaluated; expected {A}",
            )
        ],
    ),
    "all seven lights": Seeded(
        added("scan1/rect_003_0_r5000.png", png("dark")),
        [("extra view", "scan1/rect_003_0_r5000.png", "only light 3 is evaluated")],
    ),
    "a synthetic name in the DTU half": Seeded(
        renamed(A, "scan1/cam_003_3_0000.png"),
        [
            (
                "wrong name",
                "scan1/cam_003_3_0000.png",
                f"cam_, but pictures of the DTU half with rect_; expected {A}",
            )
        ],
    ),
    "a DTU name in the synthetic half": Seeded(
        renamed(JENGA, "Jenga/rect_006_3_r5000.png"),
        [
            (
                "wrong name",
                "Jenga/rect_006_3_r5000.png",
                f"pictures of the Synthetic half with cam_; expected {JENGA}",
            )
        ],
    ),
    "the ending of low-resolution DTU pictures": Seeded(
        renamed(A, "scan1/rect_003_3_r7000.png"),
        [
            (
                "wrong name",
                "scan1/rect_003_3_r7000.png",
                "ends in _r7000, but pictures of the DTU half in _r5000",
            )
        ],
    ),
    "a number without zeros": Seeded(
        renamed(A, "scan1/rect_3_3_r5000.png"),
        [("wrong name", "scan1/rect_3_3_r5000.png", f"file numbers have three digits; expected {A}")],
    ),
    "a name of one's own": Seeded(
        renamed(A, "scan1/view2.png"),
        [("wrong name", "scan1/view2.png", "is not a name of the protocol"), ("missing view", A, "")],
    ),
    "a flipped byte": Seeded(
        replaced(A, damaged_pixels), [("damaged picture", A, "the checksum of its chunk IDAT is wrong")]
    ),
    "a truncated picture": Seeded(
        replaced(A, lambda content: content[: len(content) // 2]),
        [("truncated picture", A, "it ends inside of its chunk IDAT")],
    ),
    "a picture without its last chunk": Seeded(
        replaced(A, lambda content: content[:-12]), [("truncated picture", A, "it has no end")]
    ),
    "rows are missing": Seeded(
        replaced(A, too_few_rows), [("truncated picture", A, "it holds 0 % of its pixel data")]
    ),
    "only the signature": Seeded(
        replaced(A, lambda content: content[:20]), [("truncated picture", A, "it ends after 20 bytes")]
    ),
    "an empty file": Seeded(replaced(A, lambda _: b""), [("damaged picture", A, "the file is empty")]),
    "a JPEG called png": Seeded(
        replaced(A, lambda _: png("a", format="JPEG")),
        [("wrong file type", A, "its content is JPEG, not PNG")],
    ),
    "a text file called png": Seeded(
        replaced(A, lambda _: b"version https://git-lfs"), [("wrong file type", A, "its content is not PNG")]
    ),
    "a picture called jpg": Seeded(
        renamed(A, "scan1/rect_003_3_r5000.jpg"),
        [
            (
                "wrong file type",
                "scan1/rect_003_3_r5000.jpg",
                f"write it as PNG; renaming is not enough; expected {A}",
            )
        ],
    ),
    "a scene is missing": Seeded(
        without("scan2/"),
        [("missing scene", "scan2/", "is not in the zip: add its 2 pictures")],
    ),
    "a scene of another split": Seeded(
        added("scan9/rect_005_3_r5000.png", png("other")),
        [
            (
                "extra scene",
                "scan9/",
                "it belongs to track 1, test, not to SpaRe track 1, development: leave out",
            )
        ],
    ),
    "an unknown scene": Seeded(
        added("scan999/rect_005_3_r5000.png", png("other")),
        [("extra scene", "scan999/", "it is no scene of SpaRe")],
    ),
    "the same name twice": Seeded(twice(A), [("duplicate entry", A, "the zip holds 2 files of this name")]),
    "names that differ in case only": Seeded(
        added("scan1/RECT_003_3_r5000.png", png("case")),
        [
            (
                "duplicate entry",
                "scan1/RECT_003_3_r5000.png",
                f"differs from {A} in upper and lower case only",
            ),
            ("extra view", "scan1/RECT_003_3_r5000.png", "is a second picture of view 2"),
        ],
    ),
    "a scene in another case": Seeded(
        lambda files: {name.replace("Jenga", "jenga"): content for name, content in files.items()},
        [("case differs", "jenga/", "the scene is called Jenga: upper and lower case count")],
    ),
    "an ending in another case": Seeded(
        renamed(A, "scan1/rect_003_3_r5000.PNG"),
        [("case differs", "scan1/rect_003_3_r5000.PNG", f"upper and lower case count; expected {A}")],
    ),
    "a folder inside of a scene": Seeded(
        renamed(A, "scan1/renders/rect_003_3_r5000.png"),
        [("nested folder", "scan1/renders/", "pictures lie directly in scan1/: move its files up there")],
    ),
    "pictures at the root": Seeded(
        renamed(A, "rect_003_3_r5000.png"),
        [
            ("wrong place", "rect_003_3_r5000.png", "put it in the folder of its scene"),
            ("missing view", A, ""),
        ],
    ),
    "an empty zip": Seeded(lambda files: {}, [("empty zip", "the zip", "it holds no file")]),
    "nothing but a readme": Seeded(
        lambda files: {"readme.txt": b"x"},
        [("missing scene", "the zip", "it has no scene folder of SpaRe track 1")],
    ),
    "dimensions of 2^31 - 1": Seeded(
        replaced(A, lambda _: header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")),
        [("wrong size", A, "it has 2147483647x2147483647 pixels")],
    ),
    "dimensions of 0": Seeded(
        replaced(A, lambda _: header(0, 2**32 - 1) + chunk(b"IEND", b"")),
        [("wrong size", A, "0x4294967295 pixels")],
    ),
    "two headers": Seeded(replaced(A, two_headers), [("damaged picture", A, "")]),
    "a chunk that states 2 GB": Seeded(
        replaced(A, lambda content: content[:33] + (2**31 - 1).to_bytes(4, "big") + b"zTXt" + content[41:]),
        [("truncated picture", A, "it ends inside of its chunk zTXt")],
    ),
}

WARNINGS: dict[str, Seeded] = {
    "no readme": Seeded(
        without("readme.txt"), [("missing readme", "readme.txt", "add a text file with runtime")]
    ),
    "a readme in capitals": Seeded(
        renamed("readme.txt", "README.TXT"), [("case differs", "README.TXT", "call it readme.txt")]
    ),
    "what a Mac adds": Seeded(
        lambda files: {**files, "__MACOSX/scan1/._a.png": b"x", "__MACOSX/b": b"x", "scan1/.DS_Store": b"x"},
        [
            ("stray file", "__MACOSX", "left by the operating system (2 files): leave it out"),
            ("stray file", "scan1/.DS_Store", "left by the operating system: leave it out"),
        ],
    ),
    "files of one's own": Seeded(
        lambda files: {**files, "log.txt": b"x", "scan1/metrics.json": b"{}", "code/run.py": b"x"},
        [
            ("stray file", "log.txt", "is not asked for"),
            ("stray file", "scan1/metrics.json", "is not asked for"),
            ("stray file", "code/", "asks for nothing in it"),
        ],
    ),
    "a black picture": Seeded(
        replaced(A, lambda _: _flat("black")),
        [("empty picture", A, "every pixel is black: was the scene rendered?")],
    ),
    "a picture of one colour": Seeded(
        replaced(A, lambda _: _flat((9, 8, 7))),
        [("empty picture", A, "every pixel is of one colour, (9, 8, 7)")],
    ),
    "an input instead of a render": Seeded(
        replaced(A, lambda _: png("input scan1 4")),
        [("copied picture", A, "is pixel for pixel the input rect_005_3_r5000.png, not a render")],
    ),
    "one render for two views": Seeded(
        lambda files: {**files, A: files[B]}, [("repeated picture", B, f"is pixel for pixel the same as {A}")]
    ),
}


def _flat(color) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1600, 1200), color).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _check(path, files: Files, seeded: Seeded, development):
    changed = dict(files)
    result = seeded.change(changed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own, about doubled names
        write_zip(path, changed if result is None else result)
    return check_submission(path, development)


def _told(findings) -> list[tuple[str, str]]:
    return sorted((finding.kind, finding.file) for finding in findings)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named(tmp_path, valid, development, name):
    seeded = FAULTS[name]
    verdict = _check(tmp_path / "broken.zip", valid, seeded, development)
    assert not verdict.passed
    assert _told(verdict.faults) == sorted((kind, file) for kind, file, _ in seeded.told)
    text = "\n".join(verdict.lines())
    for kind, file, sentence in seeded.told:
        line = next(line for line in text.splitlines() if line.startswith(f"fault: {file}: {kind}: "))
        assert sentence in line
    assert "verdict: NOT valid" in text
    assert {finding.kind for finding in verdict.warnings} <= {"missing readme", "empty picture"}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_odd_but_allowed_is_a_warning(tmp_path, valid, development, name):
    seeded = WARNINGS[name]
    verdict = _check(tmp_path / "odd.zip", valid, seeded, development)
    assert verdict.passed
    assert _told(verdict.warnings) == sorted((kind, file) for kind, file, _ in seeded.told)
    for kind, file, sentence in seeded.told:
        assert any(f.kind == kind and f.file == file and sentence in f.sentence for f in verdict.warnings)


def test_several_faults_are_all_named(tmp_path, valid, development):
    names = (
        "a view is missing",
        "a scene is missing",
        "an unknown scene",
        "a DTU name in the synthetic half",
    )
    files = dict(valid)
    for name in names:
        FAULTS[name].change(files)
    verdict = check_submission(write_zip(tmp_path / "many.zip", files), development)
    expected = sorted((kind, file) for name in names for kind, file, _ in FAULTS[name].told)
    assert _told(verdict.faults) == expected


def test_a_half_whose_names_are_all_wrong_is_not_called_absent(tmp_path, valid, development):
    files = {name: content for name, content in valid.items() if not name.startswith("Jenga")}
    files |= {"Jenga/a.png": b"", "Jenga/b.png": b""}
    verdict = check_submission(write_zip(tmp_path / "a.zip", files), development)
    assert "  Synthetic: 1 of 1 scenes, 0 of 2 pictures are as they should be" in verdict.lines()


def test_chosen_scenes_alone_are_expected(tmp_path, valid, spare_folder):
    files = {name: content for name, content in valid.items() if name.startswith(("scan1/", "readme"))}
    path = write_zip(tmp_path / "one.zip", files)
    assert check_submission(path, asked(spare_folder, 1, "development", ["scan1"])).findings == ()
    verdict = check_submission(path, asked(spare_folder, 1, "development", ["scan2"]))
    assert _told(verdict.faults) == [("extra scene", "scan1/"), ("missing scene", "scan2/")]
    assert "it is not among the chosen scenes" in "\n".join(verdict.lines())


def test_without_calibration_the_check_says_so(tmp_path, valid, spare_folder):
    split = "Track1_split_development.json"
    (tmp_path / split).write_bytes((spare_folder / split).read_bytes())
    verdict = check_submission(write_zip(tmp_path / "a.zip", valid), asked(tmp_path, 1, "development"))
    assert verdict.passed and {finding.kind for finding in verdict.warnings} == {"no calibration"}


def test_a_split_that_does_not_fit_the_calibration_is_refused(tmp_path, valid):
    from submission_cases import write_spare_folder

    write_spare_folder(tmp_path, (32, 24))
    (tmp_path / "dtu_calibration" / "pos_009.txt").unlink()
    with pytest.raises(
        ReconError, match=r"scan1: the split asks for views \[8\], which have no pos_NNN\.txt"
    ):
        check_submission(write_zip(tmp_path / "a.zip", valid), asked(tmp_path, 1, "development"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"track": 2},
            r"has no Track2_split_development\.json but Track1_split_development\.json, Track1_split_t",
        ),
        ({"scenes": ["scan3"]}, "has no scene scan3; it has scan1, scan2, Jenga"),
    ],
)
def test_asking_for_what_the_folder_does_not_have(spare_folder, arguments, message):
    with pytest.raises(ReconError, match=message):
        asked(spare_folder, **{"track": 1, "split": "development", **arguments})


def test_a_split_file_cannot_lead_out_of_the_folder(tmp_path):
    (tmp_path / "Track1_split_test.json").write_text('{"../up": {"input_views": [1], "test_views": [2]}}')
    with pytest.raises(ReconError, match=r"'\.\./up', which cannot be the name of a folder"):
        asked(tmp_path, 1, "test")


def test_thousands_of_stray_files_do_not_scroll_for_minutes(tmp_path, valid, development):
    files = {**valid, **{f"scan1/note_{number}.txt": b"" for number in range(3000)}}
    verdict = check_submission(write_zip(tmp_path / "a.zip", files), development)
    assert verdict.passed and len(verdict.warnings) == 3000 and len(verdict.lines()) < 40
    assert any("and 2970 more of this kind" in line for line in verdict.lines())


def test_names_with_control_characters_are_printed_safely(tmp_path, valid, development):
    verdict = check_submission(write_zip(tmp_path / "a.zip", {**valid, "\x1b[2Jgone": b""}), development)
    text = "\n".join(verdict.lines())
    assert "\x1b" not in text and "\\x1b[2Jgone" in text


@pytest.mark.real_data
def test_real_photos_pass_and_are_recognised_as_what_they_are(tmp_path):
    """The held-out photos of scan65 themselves: nothing about them is a fault, and they are no renders."""
    if "RECON_DATA" not in os.environ:
        pytest.skip("needs RECON_DATA")
    folder = Path(os.environ["RECON_DATA"]) / "spare"
    wanted = asked(folder, 1, "development", ["scan65"])
    names = wanted.scenes["scan65"].pictures
    files = {f"scan65/{name}": (folder / "images" / "scan65" / name).read_bytes() for name in names}
    verdict = check_submission(write_zip(tmp_path / "a.zip", {"readme.txt": b"x", **files}), wanted)
    assert verdict.passed and [f.kind for f in verdict.warnings] == ["copied picture"] * 10
    assert all("is pixel for pixel the held-out photo" in f.sentence for f in verdict.warnings)


def test_the_command_prints_the_verdict_and_its_status_tells(tmp_path, valid, spare_folder, capsys):
    options = ["--data", str(spare_folder), "--track", "1", "--split", "development"]
    path = write_zip(tmp_path / "a.zip", valid)
    main(["submit", "check", str(path), *options])
    assert capsys.readouterr().out.splitlines()[-1] == "verdict: valid (0 faults, 0 warnings)"
    files = dict(valid)
    del files[A]
    with pytest.raises(SystemExit) as stop:
        main(["submit", "check", str(write_zip(tmp_path / "b.zip", files)), *options])
    assert stop.value.code == 1
    assert f"fault: {A}: missing view: " in capsys.readouterr().out
    (tmp_path / "c.zip").write_bytes(b"no zip")
    with pytest.raises(SystemExit) as stop:
        main(["submit", "check", str(tmp_path / "c.zip"), *options])
    assert stop.value.code == 2
    assert "recon: " in capsys.readouterr().err


def test_valid_submissions_are_what_the_protocol_says(development):
    """The fixture itself: names counted from 1, light 3, the halves' own patterns."""
    assert set(valid_submission(development)) >= {A, B, JENGA, "scan2/rect_005_3_r5000.png"}
