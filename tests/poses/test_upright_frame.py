import numpy as np

from recon.poses.estimate import upright_frame
from recon.scene import Camera, look_at


def test_upright_frame_changes_nothing_that_is_seen():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 3)) * [3, 2, 1] + [10, -4, 2]
    places = ([10, -24, 4], [14, -22, 3], [6, -21, 5])
    poses = {
        str(k): look_at(np.array(p, float), points.mean(axis=0), np.array([0, 0, 1.0]))
        for k, p in enumerate(places)
    }
    visible = rng.random((60, 3)) < 0.7
    moved, moved_points = upright_frame(poses, points, visible)
    for name, pose in poses.items():
        before, _ = Camera(pose, 300, 300, 200, 150, 400, 300).project(points)
        after, depth = Camera(moved[name], 300, 300, 200, 150, 400, 300).project(moved_points)
        np.testing.assert_allclose(after, before, atol=1e-8)
        assert (depth > 0).all()
    np.testing.assert_allclose(np.median(moved_points, axis=0), 0, atol=1e-9)
    down = np.mean([pose[1, :3] for pose in moved.values()], axis=0)
    np.testing.assert_allclose(down / np.linalg.norm(down), [0, 1, 0], atol=1e-9)
    depths = [(moved_points @ pose[:3, :3].T + pose[:3, 3])[:, 2] for pose in moved.values()]
    assert (
        abs(np.median(np.concatenate([d[seen] for d, seen in zip(depths, visible.T, strict=True)])) - 1)
        < 1e-9
    )


def test_upright_frame_survives_a_camera_that_looks_straight_down():
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    pose[2, 3] = 5
    moved, points = upright_frame({"a": pose, "b": pose}, np.zeros((4, 3)), np.ones((4, 2), dtype=bool))
    assert np.isfinite(moved["a"]).all() and np.isfinite(points).all()
    np.testing.assert_allclose(moved["a"][:3, :3] @ moved["a"][:3, :3].T, np.eye(3), atol=1e-12)
