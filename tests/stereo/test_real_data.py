"""Stereo on a real capture."""

import os
from pathlib import Path

import numpy as np
import pytest

from recon.datasets import open_scene
from recon.stereo import estimate_depth

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif("RECON_DATA" not in os.environ, reason="RECON_DATA is not set"),
]


def test_fern_is_covered_as_measured():
    scene = open_scene(Path(os.environ["RECON_DATA"]) / "llff/fern", protocol="llff", views=3)
    depths = estimate_depth(scene.train_views, bounds=scene.bounds)
    matched = np.mean([((d.depth > 0) & ~d.filled).mean() for d in depths])
    assert 0.72 < matched < 0.85  # 0.777 when the recipe was measured
    assert np.mean([(d.depth > 0).mean() for d in depths]) > 0.88
