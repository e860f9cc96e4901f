"""Which pixels of two photos show the same point: the protocol, and two estimates that need no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from recon.scene import View
from recon.stereo import DepthMap
from recon.stereo.consistency import agreement
from recon.stereo.working_view import matchable

SHARPNESS = 0.5
MINIMUM_CONFIDENCE = 0.5
EROSION = 5
"""Confidence is exp(-0.5 |F_ij + F_ji(F_ij)|_1), eroded over 5x5 pixels and cut at 0.5 (CoherentGS, Paliwal et al.
2024)."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Correspondences from one photo to another.

    Attributes:
        target: [H, W, 2] float32, position (x, y) in the other photo, in its pixels (centres at +0.5).
        mask: [H, W] bool, pixels whose correspondence is trusted.
    """

    target: Float[ndarray, "H W 2"]
    mask: Bool[ndarray, "H W"]


Flows = dict[tuple[int, int], Flow]


class FlowPrior(Protocol):
    """Finds correspondences between all ordered pairs of photos."""

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> Flows:
        """Return the flow from photo i to photo j by (i, j); pairs that share nothing may be missing."""
        ...


@dataclass(frozen=True)
class StereoFlow:
    """Correspondences that stereo implies: pixels whose depth another photo's own depth confirms."""

    minimum_confidence: float = 0.3

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> Flows:
        flows = {}
        for i, j in permutations(range(len(views)), 2):
            depth = np.where(stereo[i].filled, np.float32(0), stereo[i].depth)
            confirmed = agreement(views[i].camera, depth, views[j].camera, stereo[j].depth)
            confirmed &= stereo[i].confidence >= self.minimum_confidence
            if confirmed.any():
                flows[i, j] = Flow(_projected(views[i], stereo[i].depth, views[j]), confirmed)
        return flows


def _projected(view: View, depth: Float[ndarray, "H W"], other: View) -> Float[ndarray, "H W 2"]:
    """Return where every pixel falls in another photo; meaningless where depth is unknown."""
    pixels = view.camera.pixel_centers().reshape(-1, 2)
    target, _ = other.camera.project(view.camera.unproject(pixels, depth.reshape(-1)))
    return target.reshape(*depth.shape, 2).astype(np.float32)


@dataclass(frozen=True)
class DisFlow:
    """Dense inverse search (Kroeger et al. 2016, OpenCV) with a forward-backward check.

    It knows nothing of the cameras, so it is evidence of its own. It follows small motion and loses wide baselines;
    what it loses fails the check.
    """

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> Flows:
        gray = [(view.image @ _LUMA * 255).round().clip(0, 255).astype(np.uint8) for view in views]
        valid = [matchable(view) for view in views]
        flows = {}
        for i, j in permutations(range(len(views)), 2):
            if gray[i].shape != gray[j].shape:
                continue  # DIS compares pictures of one size
            forward, backward = (_dense_inverse_search(gray[a], gray[b]) for a, b in ((i, j), (j, i)))
            mask = forward_backward_mask(forward, backward) & valid[i]
            if mask.any():
                centers = views[i].camera.pixel_centers().astype(np.float32)
                flows[i, j] = Flow(centers + forward, mask)
        return flows


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _dense_inverse_search(
    first: UInt8[ndarray, "H W"], second: UInt8[ndarray, "H W"]
) -> Float[ndarray, "H W 2"]:
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return search.calc(first, second, np.zeros((*first.shape, 2), np.float32))


def forward_backward_mask(
    forward: Float[ndarray, "H W 2"], backward: Float[ndarray, "h w 2"]
) -> Bool[ndarray, "H W"]:
    """Return the pixels that come back to where they started; displacements are in pixels."""
    import cv2

    height, width = forward.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    there_x, there_y = x + forward[..., 0], y + forward[..., 1]
    returned = cv2.remap(backward, there_x, there_y, cv2.INTER_LINEAR)
    confidence = np.exp(-SHARPNESS * np.abs(forward + returned).sum(axis=-1))
    other_height, other_width = backward.shape[:2]
    inside = (there_x >= 0) & (there_y >= 0) & (there_x <= other_width - 1) & (there_y <= other_height - 1)
    confidence[~inside] = 0
    return cv2.erode(confidence, np.ones((EROSION, EROSION), np.uint8)) > MINIMUM_CONFIDENCE
