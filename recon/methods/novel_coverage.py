"""Which part of novel views the photos say anything of."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from recon.evaluation.pictures import picture_path
from recon.export.pictures import write_confidence
from recon.methods.virtual_views import virtual_cameras
from recon.run_folder import RunFolder
from recon.scene import Scene
from recon.splats import Gaussians
from recon.splats.coverage import coverage_mask

NOVEL_VIEWS = 4
"""Cameras between the inputs in which holes are looked for when no photo is held out."""
SEEN = 0.05
"""Gaussians of at least this coverage confidence are seen by a photo: a sixth of what one photo gives in full."""
MENTIONED = 0.005
"""A larger share of holes than this is worth a sentence in the report."""


def write_coverage(
    run: RunFolder, scene: Scene, gaussians: Gaussians, confidence: Float[Tensor, " N"]
) -> dict[str, Any] | None:
    """Find the holes of novel views: those held out, or some between the inputs.

    Writes a mask per view, and returns what metrics.json says: the share of pixels that Gaussians cover which a photo
    shows. What was invented to fill a hole covers nothing. None for an object on a known background, around which there
    is nothing to cover.

    Args:
        confidence: see `recon.splats.confidence.coverage_confidence`.
    """
    if scene.background is not None:
        return None
    novel = {view.name: view.camera for view in scene.test_views}
    if not novel:
        inputs = [view.camera for view in scene.train_views]
        between = virtual_cameras(inputs, NOVEL_VIEWS, beyond=1.0, random=np.random.default_rng(0))
        novel = {f"between {index}": camera for index, camera in enumerate(between)}
    seen = gaussians[confidence >= SEEN]
    shares = {}
    for name, camera in novel.items():
        covered = coverage_mask(seen, camera).float()
        write_confidence(picture_path(run.path, "depth", name, "_coverage"), covered)
        shares[name] = round(float(covered.mean()), 5)
    return {"mean": round(float(np.mean(list(shares.values()))), 5), "per_image": shares}


def coverage_notes(coverage: dict[str, Any] | None) -> list[str]:
    """Return what to tell of the holes: nothing where there are hardly any."""
    if coverage is None or coverage["mean"] >= 1 - MENTIONED:
        return []
    return [
        f"no photo shows what lies in {100 * (1 - coverage['mean']):.1f} % of the pixels of novel views: they are "
        "empty or a guess, and the pictures depth/NAME_coverage.png show where"
    ]
