"""Photos as they would look had they all been exposed alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from recon.scene.scene import Scene
from recon.scene.view import Pixels, View

Exposures = Mapping[str, list[float]]
"""By photo: how much brighter than the photos' mean it is, as a factor of its sRGB values, for red, green and blue."""


def evened(view: View, exposures: Exposures) -> View:
    """Return the view with its exposure taken out; the same view where its exposure is not known."""
    if view.name not in exposures:
        return view
    factors = np.asarray(exposures[view.name], dtype=np.float32)

    def load() -> Pixels:
        return replace(view.pixels, image=np.clip(view.image / factors, 0, 1))

    return View(view.name, view.camera, load, view.withheld)


def evened_scene(scene: Scene, exposures: Exposures) -> Scene:
    """Return the scene with all views evened whose exposure is known."""
    return replace(scene, views=tuple(evened(view, exposures) for view in scene.views))
