"""Loss terms as small objects: called with a rendering and its view, they return a weighted summand or None."""

from recon.losses.depth import DepthTerm
from recon.losses.photometric import PhotometricTerm

__all__ = ["DepthTerm", "PhotometricTerm"]
