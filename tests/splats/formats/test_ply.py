"""The .ply format: exact round trips, tolerant reading, sentences for what is not a splat."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from plyfile import PlyData, PlyElement

from recon.errors import ReconError
from recon.splats import Gaussians
from recon.splats.formats import decode_ply, read_ply, read_splats, write_ply, write_splats

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
SMALL = st.floats(-80, 80, width=32)


def assert_same_bits(a: Gaussians, b: Gaussians) -> None:
    for (name, x), y in zip(a.tensors().items(), b.tensors().values(), strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype == torch.float32
        assert torch.equal(x.view(torch.int32), y.view(torch.int32)), name


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(1, 40), degree=st.integers(0, 3))
def test_round_trip_keeps_every_bit(tmp_path_factory, data, count, degree):
    def draw(shape, elements=FLOATS):
        return torch.from_numpy(data.draw(arrays.arrays(np.float32, shape, elements=elements)))

    quaternions = draw((count, 4))
    quaternions[~quaternions.any(dim=1)] = torch.tensor([1.0, 0, 0, 0])
    gaussians = Gaussians(
        draw((count, 3)),
        draw((count, 3), SMALL),
        quaternions,
        draw(count),
        draw((count, (degree + 1) ** 2, 3)),
    )
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    write_ply(path, gaussians)
    assert_same_bits(read_ply(path), gaussians)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_many_blocks(tmp_path, make_gaussians, degree):
    gaussians = make_gaussians(5000, degree)
    write_splats(tmp_path / "a.PLY", gaussians)
    assert_same_bits(read_splats(tmp_path / "a.PLY"), gaussians)


def test_layout_is_the_standard_one(tmp_path, make_gaussians):
    """An independent reader finds every number under the name that other programs look for."""
    gaussians = make_gaussians(7, 3)
    write_ply(tmp_path / "a.ply", gaussians)
    vertices = PlyData.read(tmp_path / "a.ply")["vertex"]
    assert vertices.data.dtype.itemsize == 62 * 4
    assert [p.name for p in vertices.properties][:7] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0"]
    assert [p.name for p in vertices.properties][-8:] == [
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")
    ]
    np.testing.assert_array_equal(vertices["y"], gaussians.means[:, 1])
    np.testing.assert_array_equal(vertices["f_dc_2"], gaussians.sh[:, 0, 2])
    np.testing.assert_array_equal(vertices["f_rest_0"], gaussians.sh[:, 1, 0])
    np.testing.assert_array_equal(vertices["f_rest_14"], gaussians.sh[:, 15, 0])
    np.testing.assert_array_equal(vertices["f_rest_15"], gaussians.sh[:, 1, 1])
    np.testing.assert_array_equal(vertices["rot_0"], gaussians.quaternions[:, 0])
    np.testing.assert_array_equal(vertices["scale_2"], gaussians.log_scales[:, 2])
    np.testing.assert_array_equal(vertices["opacity"], gaussians.opacity_logits)


@pytest.mark.parametrize("form", ["text", "<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_reads_what_other_programs_write(tmp_path, make_gaussians, form, kind):
    """Shuffled and further properties, other elements before and after, text and both byte orders."""
    gaussians = make_gaussians(3000, 1)
    columns = {f"f_dc_{c}": gaussians.sh[:, 0, c] for c in range(3)}
    columns |= {f"f_rest_{3 * c + k}": gaussians.sh[:, k + 1, c] for c in range(3) for k in range(3)}
    columns |= {f"rot_{i}": gaussians.quaternions[:, i] for i in range(4)}
    columns |= {f"scale_{i}": gaussians.log_scales[:, i] for i in range(3)}
    columns |= dict(zip("zyx", gaussians.means.flip(1).unbind(1), strict=True))
    columns |= {"opacity": gaussians.opacity_logits}
    types = [(name, kind) for name in columns] + [("red", "u1"), ("confidence", "f4"), ("label", "i2")]
    np.random.default_rng(0).shuffle(types)
    vertices = np.zeros(len(gaussians), [tuple(t) for t in types])
    for name, column in columns.items():
        vertices[name] = column
    camera = np.zeros(2, [("view", "f4"), ("id", "u1")])
    elements = [PlyElement.describe(camera, "camera"), PlyElement.describe(vertices, "vertex")]
    elements.append(PlyElement.describe(np.zeros(3, [("a", "i4")]), "after"))
    data = PlyData(elements, text=form == "text", byte_order="=" if form == "text" else form)
    data.comments = ["made by a test"]
    data.write(tmp_path / "a.ply")
    assert_same_bits(read_ply(tmp_path / "a.ply"), gaussians)


def test_carriage_returns_and_blank_lines_in_text():
    properties = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    properties += [f"scale_{i}" for i in range(3)] + [f"rot_{i}" for i in range(4)]
    header = ["ply", "format ascii 1.0", "comment  é".encode("latin-1").decode("latin-1"), "element vertex 2"]
    lines = [*header, *(f"property float {p}" for p in properties), "end_header"]
    lines += [" ".join(str(i + 0.5) for i in range(14)), "", "   ".join("1e-3" for _ in range(14))]
    gaussians = decode_ply("\r\n".join(lines).encode("latin-1"), "a.ply")
    assert len(gaussians) == 2
    assert gaussians.quaternions[0].tolist() == [10.5, 11.5, 12.5, 13.5]
    assert gaussians.means[1].tolist() == [np.float32(1e-3)] * 3


def test_zero_quaternions_read_as_identity(tmp_path, make_gaussians):
    gaussians = make_gaussians(3, 0)
    gaussians.quaternions[1] = 0
    write_ply(tmp_path / "a.ply", gaussians)
    assert read_ply(tmp_path / "a.ply").quaternions[1].tolist() == [1, 0, 0, 0]


@pytest.fixture
def good(tmp_path, make_gaussians) -> bytes:
    write_ply(tmp_path / "good.ply", make_gaussians(5, 1))
    return (tmp_path / "good.ply").read_bytes()


def replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: b"", "is not a .ply file"),
        (lambda c: b"ply\n" + b"comment x\n" * 10000, "is not a .ply file"),
        (lambda c: c[:-1], "is cut off: its header states 5 Gaussians"),
        (lambda c: replaced(c, b"vertex 5", b"vertex 6"), "is cut off"),
        (lambda c: replaced(c, b"vertex 5", b"vertex 16777216"), "is cut off"),
        (lambda c: replaced(c, b"vertex 5", b"vertex 99999999999"), "files of at most 16777216 are read"),
        (lambda c: replaced(c, b"vertex 5", b"vertex 0"), "holds no Gaussians"),
        (
            lambda c: replaced(c, b"vertex 5", b"vertex -5"),
            "header line that is not understood: 'element vertex -5'",
        ),
        (lambda c: replaced(c, b"vertex 5", b"face 5"), "has no 'vertex' element"),
        (lambda c: replaced(c, b"float rot_3", b"float rot_4"), "lacks the vertex properties rot_3"),
        (lambda c: replaced(c, b"float rot_3", b"float rot_2"), "not understood: 'property float rot_2'"),
        (lambda c: replaced(c, b"float rot_3", b"int rot_3"), "stores rot_3 as whole numbers"),
        (lambda c: replaced(c, b"float rot_3", b"quad rot_3"), "not understood"),
        (lambda c: replaced(c, b"float nx", b"list uchar int nx"), "lists of varying length"),
        (lambda c: replaced(c, b"f_rest_8", b"f_rost_8"), "has 8 f_rest properties"),
        (lambda c: replaced(c, b"little_endian", b"middle_endian"), "not understood"),
        (lambda c: replaced(c, b"format binary_little_endian 1.0\n", b""), "does not state its format"),
        (lambda c: c[:-4] + np.float32(np.nan).tobytes(), "quaternions of Gaussian 4 is NaN"),
        (lambda c: c[:-4] + np.float32(np.inf).tobytes(), "quaternions of Gaussian 4 is NaN or infinite"),
        (lambda c: c[:-20] + np.float32(1e30).tobytes() + c[-16:], "larger than any number can say"),
        (lambda c: replaced(c, b"binary_little_endian", b"ascii"), "is damaged"),
    ],
)
def test_bad_files_get_a_sentence(good, change, words):
    with pytest.raises(ReconError, match=words):
        decode_ply(change(good), "a.ply")


def test_points_meshes_and_compressed_files_get_their_own_sentence():
    def content(*properties: str) -> bytes:
        lines = ["ply", "format binary_little_endian 1.0", "element vertex 1"]
        lines += [f"property float {p}" for p in properties]
        return "\n".join([*lines, "end_header\n"]).encode() + bytes(4 * len(properties))

    with pytest.raises(ReconError, match="holds points or a mesh, not Gaussians"):
        decode_ply(content("x", "y", "z", "red", "green", "blue"), "a.ply")
    with pytest.raises(ReconError, match="open it in SuperSplat"):
        decode_ply(content("packed_position", "packed_rotation"), "a.ply")


def test_doubles_beyond_float_are_refused(good):
    text = replaced(good, b"binary_little_endian", b"ascii").split(b"end_header\n")[0] + b"end_header\n"
    row = b" ".join([b"1e300"] + [b"1"] * 25) + b"\n"
    with pytest.raises(ReconError, match="means of Gaussian 0 is NaN or infinite"):
        decode_ply(text + row * 5, "a.ply")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_unreadable_scenes_are_not_written(tmp_path, make_gaussians, value):
    gaussians = make_gaussians(3, 0)
    gaussians.opacity_logits[2] = value
    for suffix in (".ply", ".spz", ".splat"):
        with pytest.raises(ReconError, match="the opacity logits hold NaN or infinity"):
            write_splats(tmp_path / f"a{suffix}", gaussians)
        with pytest.raises(ReconError, match="files hold 1 to 16777216 Gaussians, not 0"):
            write_splats(tmp_path / f"a{suffix}", gaussians[:0])
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(tmp_path, make_gaussians):
    for call in (lambda: read_splats("scene.obj"), lambda: write_splats("scene.obj", make_gaussians(1, 0))):
        with pytest.raises(
            ReconError, match=r"kept in .ply, .spz, .splat files, but this name ends in '.obj'"
        ):
            call()
