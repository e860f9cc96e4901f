"""Loss terms as small objects: called with a rendering and its view, they return a weighted summand or None."""

from recon.losses.depth import DepthTerm
from recon.losses.multi_scale import MultiScaleTerm
from recon.losses.photometric import PhotometricTerm
from recon.losses.smoothness import LayeredSmoothness

__all__ = ["DepthTerm", "LayeredSmoothness", "MultiScaleTerm", "PhotometricTerm"]
