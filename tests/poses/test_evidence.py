from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.poses.evidence import gather_evidence
from recon.poses.focal_test import reprojection_rms, run_focal_test
from recon.poses.mapping import Model
from recon.poses.verdict import judge


def moved(model: Model, photos: list[int], rotation_degrees: float = 0.0, shift: float = 0.0) -> Model:
    """Move some cameras together: a cluster glued to the rest at a wrong place."""
    centers = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in model.world_to_camera.values()])
    spread = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec([0, np.radians(rotation_degrees), 0]).as_matrix()
    motion[:3, 3] = np.array([0.3, 0.8, 0.5]) * shift * spread
    poses = {
        photo: pose @ motion if photo in photos else pose for photo, pose in model.world_to_camera.items()
    }
    return replace(model, world_to_camera=poses)


def test_a_right_model_explains_its_matches(room, room_features, room_model, pose_errors):
    evidence = gather_evidence(room_features, room_model)
    truth = {name: camera.world_to_camera for name, camera in room[1].items()}
    found = {room_features.names[photo]: pose for photo, pose in room_model.world_to_camera.items()}
    assert max(pose_errors(found, truth)) < 0.5
    assert evidence.worst_pair_explained > 0.95 and evidence.verified_explained > 0.97
    assert evidence.explained > 0.95 and evidence.worst_split_explained > 0.95
    assert evidence.crossing_tracks > 50 and evidence.least_split_matches > 50
    assert judge(replace(evidence, focal=run_focal_test(room_model)), 5).level == "certified"


@pytest.mark.parametrize("cluster", [[3, 4], [0], [1, 3]])
@pytest.mark.parametrize(("rotation", "shift"), [(0.0, 0.5), (3.0, 0.0)])
def test_a_cluster_glued_wrongly_is_refused_and_found(room_features, room_model, cluster, rotation, shift):
    wrong = moved(room_model, cluster, rotation, shift)
    evidence = gather_evidence(room_features, wrong)
    assert evidence.worst_pair_explained < 0.86
    assert judge(evidence, 5).level == "uncertified"
    assert evidence.weakest_split is not None
    assert set(evidence.weakest_split[0]) == set(cluster)
    assert (
        reprojection_rms(room_model.reconstruction) < 1.0
    )  # the mapper's own error has nothing to say about it


def test_the_evidence_does_not_depend_on_gauge_or_scale(room_features, room_model):
    gauge = np.eye(4)
    gauge[:3, :3] = Rotation.from_rotvec([0.4, -1.0, 0.2]).as_matrix()
    gauge[:3, 3] = [3, -2, 5]
    poses = {}
    for photo, pose in room_model.world_to_camera.items():
        poses[photo] = pose @ gauge
        poses[photo][:3, 3] *= 4.0
    same = gather_evidence(room_features, replace(room_model, world_to_camera=poses))
    first = gather_evidence(room_features, room_model)
    for name in ("worst_pair_explained", "explained", "worst_split_explained", "verified_explained"):
        assert getattr(same, name) == pytest.approx(getattr(first, name), abs=0.002)


def test_few_tracks_across_a_split_are_counted(room_features, room_model):
    """Cut the tracks between {0, 1, 2} and {3, 4} down to four."""
    left, right = room_model.visible[:, :3].any(axis=1), room_model.visible[:, 3:].any(axis=1)
    crossing = np.nonzero(left & right & (room_model.visible.sum(axis=1) >= 3))[0]
    kept = np.ones(len(room_model.points), dtype=bool)
    kept[crossing[4:]] = False
    visible = room_model.visible[kept]
    evidence = gather_evidence(room_features, replace(room_model, visible=visible))
    assert evidence.crossing_tracks <= 4 and evidence.thinnest_split is not None
    assert any("hold the two halves" in reason for reason in judge(evidence, 5).reasons)


def test_the_focal_test_sees_that_the_room_fixes_the_focal_length(room_model):
    test = run_focal_test(room_model)
    assert test.residual_ratio > 1.05 and test.ambiguity < 10
    before = room_model.lenses[0].focal
    assert room_model.reconstruction.camera(1).focal_length == before  # the model itself is left alone
