"""The settings of stereo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StereoSettings:
    """How depth is estimated from posed photos. The defaults were chosen by measurement, see docs/stereo.md."""

    planes: int = 128
    """Depth hypotheses, uniform in inverse depth; a multiple of 16. More are not better: the smoothness penalties
    fit 96 to 128."""
    working_pixels: int = 320_000
    """Larger photos are matched at this many pixels and their depth is brought back to full size along the photo's
    edges. Bounds the memory: about 3 bytes per pixel and plane."""
    coarse_pixels: int = 120_000
    """And at this many pixels from `coarse_baseline` on: photos that differ much agree better on what is coarse.
    `quality` gains 1.0 dB over 320,000 pixels on scan65 at 800x600 with 3 views; for others see docs/results.md."""
    coarse_baseline: float = 20.0
    """Angle in degrees between photos and their sources from which photos are matched at `coarse_pixels`."""
    max_sources: int = 3
    """Other photos that each photo is matched against at most: those that share most of its view."""
    second_pass: bool = True
    """Sweep again with what the other photos' depth says about occlusion and free space."""
    wide_baseline: float = 25.0
    """Angle in degrees between photos and their sources from which slanted planes are refined and small components are
    removed: better for objects seen from around, worse for foliage."""
    fill_distance: float = 5.0
    """Pixels without depth this near (in pixels of the working size) to known ones take the nearest depth, unless
    another photo looks through it; 0 switches it off."""
    exposures: bool = True
    """Even out the photos' exposure where it differs, see docs/stereo.md."""
