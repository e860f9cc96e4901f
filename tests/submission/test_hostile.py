"""Zips that somebody made to do harm: refused with a sentence, in bounded memory and time, nothing on disk."""

import os
import random
import re
import stat
import struct
import time
import tracemalloc
import zipfile
import zlib

import pytest
from submission_cases import SPLITS, chunk, header, png, write_spare_folder, write_zip

from recon.errors import ReconError
from recon.submission import archive as archive_module
from recon.submission import check as check_module
from recon.submission.archive import MAX_ENTRIES, MAX_ENTRY_BYTES
from recon.submission.check import check_submission
from recon.submission.spare import asked

A = "scan1/rect_003_3_r5000.png"

MEMORY_BOUND = 120 << 20
"""One packed and one unpacked entry, a decoded picture and its copy; the bombs here state from 2 GB to 8 EB."""

SECONDS_BOUND = 30.0
"""Of processor time: far above what is needed (a few seconds), far below what unpacking a bomb takes."""


def refused(path, development) -> str:
    """Check a zip that must be refused as a whole, and return the sentence."""
    with pytest.raises(ReconError) as error:
        bounded(path, development)
    sentence = str(error.value)
    assert str(path) in sentence and sentence.isprintable()
    return sentence


def bounded(path, development):
    """Check a zip and hold the check to its bounds of memory, time and disk."""
    before = set(os.listdir(path.parent))
    started = time.process_time()
    tracemalloc.start()
    try:
        return check_submission(path, development)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY_BOUND, f"{peak >> 20} MB"
        assert time.process_time() - started < SECONDS_BOUND
        assert set(os.listdir(path.parent)) == before


def unix_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def patched(path, changes: dict[bytes, list[tuple[int, bytes]]], name: str = A):
    """Overwrite fields of an entry's headers: by signature (local or directory), at offsets from it."""
    content = bytearray(path.read_bytes())
    for signature, fields in changes.items():
        header = signature + b".{%d}" % (26 if signature == LOCAL else 42) + re.escape(name.encode())
        found = re.search(header, content, re.DOTALL)
        assert found is not None
        place = found.start()
        for offset, value in fields:
            content[place + offset : place + offset + len(value)] = value
    path.write_bytes(content)
    return path


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../etc/cron.d/evil", "has '..' in its name and would be written outside"),
        ("scan1/../../evil.png", "has '..' in its name and would be written outside"),
        ("/etc/passwd", "has an absolute path as its name"),
        ("//server/share/evil.png", "has an absolute path as its name"),
        ("C:/Windows/evil.png", "has an absolute path as its name"),
        ("c:evil.png", "has an absolute path as its name"),
        ("scan1\\rect_003_3_r5000.png", "has backslashes in its name"),
        ("..\\..\\evil.png", "has backslashes in its name"),
        ("./", "has no name"),
        ("a/" * 131, "has a name of 262 letters"),
        ("../", "has '..' in its name"),
    ],
)
def test_names_that_lead_outside_are_refused(tmp_path, valid, development, name, message):
    sentence = refused(write_zip(tmp_path / "slip.zip", {**valid, name: b"x"}), development)
    assert "was refused: the entry " in sentence and message in sentence


def test_a_second_harmful_name_is_refused(tmp_path, valid, development):
    """The extra field 0x7075 gives an entry another name, which newer readers follow."""
    info = zipfile.ZipInfo(A)
    other = b"../../evil.png"
    extra = struct.pack("<BL", 1, zlib.crc32(A.encode())) + other
    info.extra = struct.pack("<HH", 0x7075, len(extra)) + extra
    files = [(info, valid[A]) if name == A else (name, content) for name, content in valid.items()]
    path = write_zip(tmp_path / "two_names.zip", files)
    with zipfile.ZipFile(path) as zip_file:
        followed = {entry.filename for entry in zip_file.infolist()}
    if other.decode() in followed:
        assert "has '..' in its name" in refused(path, development)
    else:
        assert bounded(path, development).passed


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (stat.S_IFLNK | 0o777, "is a symbolic link"),
        (stat.S_IFIFO | 0o644, "is a device or a pipe"),
        (stat.S_IFCHR | 0o644, "is a device or a pipe"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, valid, development, mode, message):
    files = [*valid.items(), (unix_entry("scan1/link.png", mode), b"/etc/passwd")]
    assert message in refused(write_zip(tmp_path / "link.zip", files), development)


def test_an_entry_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path, valid, development):
    for name in (A, "notes.txt"):
        path = write_zip(tmp_path / "bomb.zip", {**valid, name: bytes(200 << 20)})
        assert path.stat().st_size < 1 << 20
        assert f"{name} would unpack from" in refused(path, development)


def test_many_entries_that_unpack_to_gigabytes_are_refused(tmp_path, valid, development):
    """Each is within the ratio; together they are too much. The sizes are stated, and the content never read."""
    path = tmp_path / "total.zip"
    filler = random.Random(0).randbytes(2 << 20)
    files = [*valid.items(), *((f"x/{number}.bin", filler) for number in range(11))]
    write_zip(path, files, compression=zipfile.ZIP_STORED)
    for number in range(11):
        patched(path, {CENTRAL: [(24, struct.pack("<L", 400 << 20))]}, f"x/{number}.bin")
    assert "it would unpack to 44" in refused(path, development)


def test_an_entry_of_exabytes_is_refused(tmp_path, valid, development):
    """Zip64 sizes reach 2^64."""
    info = zipfile.ZipInfo(A)
    path = write_zip(tmp_path / "zip64.zip", valid)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("z64.png", b"x")
        info = archive.getinfo("z64.png")
        info.file_size = 1 << 62
        archive._didModify = True
    assert "z64.png would unpack from" in refused(path, development)


def test_overlapping_entries_are_refused(tmp_path, valid, development):
    """A directory of many entries that all point to the same packed bytes, as quine and overlap bombs do."""
    path = tmp_path / "overlap.zip"
    content = random.Random(0).randbytes(100_000)
    files = [*valid.items(), *((f"x/{number}.bin", b"") for number in range(400))]
    write_zip(path, [*files, ("x/all.bin", content)], compression=zipfile.ZIP_STORED)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("x/all.bin").header_offset
    for number in range(400):
        size = struct.pack("<L", len(content))
        patched(path, {CENTRAL: [(20, size), (24, size), (42, struct.pack("<L", place))]}, f"x/{number}.bin")
    assert "its entries lie over one another" in refused(path, development)


def test_an_entry_that_holds_more_than_it_states_is_cut_short(tmp_path, valid, development):
    """The directory and the header agree on 100 bytes; the packed data go on for 50 MB."""
    path = write_zip(tmp_path / "liar.zip", {**valid, A: bytes(50 << 20)})
    size = struct.pack("<L", 100)
    patched(path, {LOCAL: [(22, size)], CENTRAL: [(24, size)]})
    verdict = bounded(path, development)
    assert [str(fault) for fault in verdict.faults] == [
        f"fault: {A}: damaged entry: it holds more than the 100 bytes that the zip states for it"
    ]


def test_an_entry_that_holds_less_than_it_states_is_told(tmp_path, valid, development):
    path = write_zip(tmp_path / "short.zip", valid)
    size = struct.pack("<L", len(valid[A]) + 5)
    patched(path, {LOCAL: [(22, size)], CENTRAL: [(24, size)]})
    (fault,) = bounded(path, development).faults
    assert "bytes: write or upload the zip again" in fault.sentence and fault.file == A


def test_a_picture_beyond_any_size_is_not_read(tmp_path, valid, development):
    big = png("big") + random.Random(1).randbytes(MAX_ENTRY_BYTES)
    (fault,) = bounded(write_zip(tmp_path / "big.zip", {**valid, A: big}), development).faults
    assert fault.file == A and "more than the 32 MB that a picture can have" in fault.sentence


def test_too_many_entries_are_refused(tmp_path, valid, development):
    files = {**valid, **{f"n/{number}": b"" for number in range(MAX_ENTRIES)}}
    assert "entries, but no submission needs more than 10000" in refused(
        write_zip(tmp_path / "many.zip", files), development
    )


def test_a_huge_directory_is_refused_before_it_is_read(tmp_path, development):
    """Two hundred thousand entries: the directory alone would take a gigabyte as Python objects."""
    entry = CENTRAL + bytes(24) + struct.pack("<HHH", 50, 0, 0) + bytes(12) + b"n" * 50
    directory = entry * 200_000
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    (tmp_path / "directory.zip").write_bytes(directory + end)
    assert "its directory has 18 MB" in refused(tmp_path / "directory.zip", development)


def test_pictures_that_unpack_to_gigabytes_are_faults(tmp_path, valid, development):
    """Bombs inside of the PNG: more pixel data than pixels, and packed texts and profiles."""
    deflated = zlib.compress(bytes(100 << 20), 9)
    sound = png("a")
    bombs = {
        "scan1/rect_003_3_r5000.png": header(1600, 1200) + chunk(b"IDAT", deflated) + chunk(b"IEND", b""),
        "scan1/rect_006_3_r5000.png": sound[:33] + chunk(b"zTXt", b"k\0\0" + deflated) + sound[33:],
        "scan1/rect_009_3_r5000.png": sound[:33] + chunk(b"iCCP", b"k\0\0" + deflated) + sound[33:],
    }
    verdict = bounded(write_zip(tmp_path / "png_bombs.zip", {**valid, **bombs}), development)
    faulty = {fault.file: fault for fault in verdict.faults}
    assert "it holds more pixel data than pixels" in faulty["scan1/rect_003_3_r5000.png"].sentence
    assert set(faulty) <= set(bombs) and all(fault.kind == "damaged picture" for fault in faulty.values())


def test_pictures_of_millions_of_chunks_are_faults(tmp_path, valid, development):
    """Each is sound, and following them all would take minutes."""
    sound = png("a")
    filler = random.Random(0).randbytes(4 << 20)  # else the zip itself would be refused for its ratio
    many = {
        "scan1/rect_003_3_r5000.png": chunk(b"IDAT", b"") * 1_000_000,
        "scan1/rect_006_3_r5000.png": chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20))) * 5000,
    }
    bombs = {name: sound[:33] + chunks + sound[33:] + filler for name, chunks in many.items()}
    verdict = bounded(write_zip(tmp_path / "chunks.zip", {**valid, **bombs}), development)
    assert {fault.file for fault in verdict.faults} == set(bombs)
    assert all("far more chunks than any encoder makes" in fault.sentence for fault in verdict.faults)


def test_thousands_of_enclosing_folders_take_no_longer(tmp_path, valid, development):
    files = {f"{'d/' * 100}{number}/scan1/a.txt": b"" for number in range(2000)}
    files |= {f"{'d/' * 100}{number}/b.txt": b"" for number in range(2000)}
    verdict = bounded(write_zip(tmp_path / "deep.zip", {**valid, **files}), development)
    assert sum(fault.kind == "enclosing folder" for fault in verdict.faults) == 2000


def test_encrypted_entries_are_told(tmp_path, valid, development):
    path = write_zip(tmp_path / "secret.zip", valid)
    patched(path, {LOCAL: [(6, b"\x01\x00")], CENTRAL: [(8, b"\x01\x00")]})
    (fault,) = bounded(path, development).faults
    assert str(fault) == f"fault: {A}: encrypted: it is encrypted: submissions are read without a password"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_uncommon_packing_is_told_and_never_unpacked(tmp_path, valid, development, method):
    path = write_zip(tmp_path / "packed.zip", valid, compression=method)
    faults = bounded(path, development).faults
    assert len(faults) == 7 and all("use ordinary deflate" in fault.sentence for fault in faults)


def test_a_damaged_entry_is_told(tmp_path, valid, development):
    path = write_zip(tmp_path / "rot.zip", valid, compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(valid[A]) + 50] ^= 0xFF
    path.write_bytes(content)
    (fault,) = bounded(path, development).faults
    assert fault.file == A and "has another checksum than the zip states" in fault.sentence
    patched(path, {LOCAL: [(30, b"scan2")]})
    (fault,) = bounded(path, development).faults
    assert "has another name inside the zip than in its directory" in fault.sentence


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a readable zip"),
        (b"\x1f\x8b\x08\x00 a tar.gz", "is not a readable zip (File is not a zip file): was it cut off"),
        (b"PK\x03\x04" + bytes(100), "is not a readable zip"),
    ],
)
def test_what_is_no_zip_is_told(tmp_path, development, content, message):
    (tmp_path / "a.zip").write_bytes(content)
    assert message in refused(tmp_path / "a.zip", development)


def test_a_truncated_zip_is_told(tmp_path, valid, development):
    path = write_zip(tmp_path / "cut.zip", valid)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "was it cut off while it was copied" in refused(path, development)


def test_a_missing_file_and_a_folder_are_told(tmp_path, development):
    with pytest.raises(ReconError, match=r"gone\.zip cannot be read: No such file"):
        check_submission(tmp_path / "gone.zip", development)
    with pytest.raises(ReconError, match="is not a file: give the zip"):
        check_submission(tmp_path, development)


MUTATIONS = 2000
"""Some seconds with pictures of 16x12."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A submission of pictures of 16x12, for checks of thousands of zips."""
    size = (16, 12)
    folder = tmp_path_factory.mktemp("small")
    write_spare_folder(folder, size)
    wanted = asked(folder, 1, "development")
    files = {
        f"{scene.name}/{name}": png(f"{scene.name}/{name}", size)
        for scene in wanted.scenes.values()
        for name in scene.pictures
    }
    return wanted, {"readme.txt": b"runtime", **files}, size


def test_no_mutated_zip_raises_anything_but_a_sentence(tmp_path, small, monkeypatch):
    wanted, files, size = small
    monkeypatch.setattr(check_module, "SIZE", size)
    monkeypatch.setattr(check_module, "uncalibrated", lambda asked, halves: [])
    assert set(SPLITS["1", "development"]) == set(wanted.scenes)
    sources = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = write_zip(tmp_path / "source.zip", files, compression=compression)
        assert check_submission(path, wanted).findings == ()
        sources.append(path.read_bytes())
    random_source = random.Random(20260101)
    path = tmp_path / "mutated.zip"
    outcomes = {"valid": 0, "faults": 0, "refused": 0}
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(random_source.choice(sources), random_source))
        try:
            outcomes["valid" if check_submission(path, wanted).passed else "faults"] += 1
        except ReconError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > MUTATIONS // 50, outcomes  # the mutations reach every part of the check


def mutated(content: bytes, source: random.Random) -> bytes:
    """Flip, cut, double, insert or overwrite with numbers that headers break on."""
    data = bytearray(content)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(max(1, len(data)))
        if source.random() < 0.5:  # near a header, where it hurts
            marks = [i for i in range(len(data) - 3) if data[i : i + 2] == b"PK"] or [0]
            place = min(len(data) - 1, source.choice(marks) + source.randrange(64)) if data else 0
        kind = source.randrange(5)
        if kind == 0 and data:
            data[place] ^= 1 << source.randrange(8)
        elif kind == 1:
            value = source.choice(
                [b"\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\x01\0\0\0", b"../", b"\\", b"\0"]
            )
            data[place : place + len(value)] = value
        elif kind == 2 and source.random() < 0.3:
            del data[place : place + source.randint(1, 200)]
        elif kind == 3 and source.random() < 0.3:
            data[place:place] = source.randbytes(source.randint(1, 40))
        elif kind == 4 and source.random() < 0.3:
            piece = data[place : place + source.randint(1, 300)]
            data[place:place] = piece
    return bytes(data)


def test_no_mutated_picture_raises_anything_but_a_fault():
    from recon.submission.png import UnfitPictureError, read_png

    source = random.Random(7)
    content = with_text(png("a", (16, 12)))
    refusals = 0
    for _ in range(MUTATIONS):
        data = bytearray(content)
        for _ in range(source.randint(1, 3)):
            place = source.randrange(len(data))
            data[place : place + source.randint(0, 2)] = source.randbytes(source.randint(0, 3))
        try:
            read_png(repaired(bytes(data)) if source.random() < 0.7 else bytes(data), (16, 12))
        except UnfitPictureError:
            refusals += 1
    assert refusals > MUTATIONS // 4


def with_text(content: bytes) -> bytes:
    texts = (
        chunk(b"tEXt", b"k\0v") + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"text")) + chunk(b"gAMA", bytes(4))
    )
    return content[:33] + texts + content[33:]


def repaired(content: bytes) -> bytes:
    """Make the checksums right again, so that what is behind them is reached."""
    data, place = bytearray(content), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(data)


def test_the_bounds_are_those_that_the_page_states():
    assert (archive_module.MAX_RATIO, MAX_ENTRIES, MAX_ENTRY_BYTES) == (200, 10_000, 32 << 20)
