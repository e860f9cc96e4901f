import numpy as np
import pytest
from plyfile import PlyData

from recon.datasets import read_points, write_points
from recon.errors import ReconError
from recon.scene import SparsePoints


@pytest.fixture
def points() -> SparsePoints:
    random = np.random.default_rng(3)
    return SparsePoints(random.normal(size=(11, 3)), random.integers(0, 256, (11, 3)).astype(np.uint8))


def test_points_round_trip_exactly(tmp_path, points):
    write_points(tmp_path / "points.ply", points)
    found = read_points(tmp_path / "points.ply")
    assert np.array_equal(found.positions, points.positions) and np.array_equal(found.colors, points.colors)
    assert found.colors.dtype == np.uint8


def test_other_programs_can_read_them(tmp_path, points):
    write_points(tmp_path / "points.ply", points)
    vertices = PlyData.read(str(tmp_path / "points.ply"))["vertex"]
    assert np.array_equal(vertices["y"], points.positions[:, 1])
    assert np.array_equal(vertices["blue"], points.colors[:, 2])


@pytest.mark.parametrize("damage", ["cut", "count", "other", "nan"])
def test_damaged_files_are_refused(tmp_path, points, damage):
    path = tmp_path / "points.ply"
    write_points(path, points)
    content = path.read_bytes()
    start = len(content) - 11 * 27
    path.write_bytes(
        {
            "cut": content[:-1],
            "count": content.replace(b"vertex 11", b"vertex 999999999"),
            "other": b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n",
            "nan": content[:start] + np.float64("nan").tobytes() + content[start + 8 :],
        }[damage]
    )
    with pytest.raises(ReconError, match=r"points\.ply"):
        read_points(path)
