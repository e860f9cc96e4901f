"""Posed photos to depth, confidence and points, by classical stereo: no weights, no held-out photos."""

from recon.stereo.depth_map import DepthMap
from recon.stereo.estimate import estimate_depth
from recon.stereo.exposure import relative_exposures
from recon.stereo.matches import TriangulatedMatches, triangulate_matches
from recon.stereo.points import PointCloud, fuse_points
from recon.stereo.settings import StereoSettings

__all__ = [
    "DepthMap",
    "PointCloud",
    "StereoSettings",
    "TriangulatedMatches",
    "estimate_depth",
    "fuse_points",
    "relative_exposures",
    "triangulate_matches",
]
