"""Settings of pose estimation."""

from dataclasses import dataclass
from typing import Literal

Accept = Literal["certified", "uncertified"]


@dataclass(frozen=True)
class PoseSettings:
    """How cameras are estimated from photos.

    Attributes:
        accept: "certified" returns cameras only when they pass every check; "uncertified" returns the best attempt even
            when it does not, marked as such.
        focal_mm: 35 mm equivalent focal length of all photos, which overrides what the files state (28 is a phone's
            main camera, 50 a normal lens).
        max_size: longest side in pixels at which features are found; by default 800, and 1000 for upright photos (the
            sizes at which the checks' thresholds were measured).
        max_features: most features per photo.
        seed: start of every random sequence.
        threads: threads for finding and matching features; by default as many as there are cores, at most 4. Mapping
            always uses one. Results do not depend on this number.
    """

    accept: Accept = "certified"
    focal_mm: float | None = None
    max_size: int | None = None
    max_features: int = 4096
    seed: int = 0
    threads: int | None = None
