"""Gaussians that are bound to the photos' rays and move together: the parts of CoherentGS.

Source: CoherentGS: Sparse Novel View Synthesis with Coherent 3D Gaussians (Paliwal et al., ECCV 2024).
"""

from recon.coherence.alignment import AlignmentSettings, align
from recon.coherence.decoder import DecoderSettings, ImplicitDecoder
from recon.coherence.flow_loss import FlowLoss, FlowTerm, PointFlows
from recon.coherence.gaussians import RayGaussians, footprint
from recon.coherence.grid import PixelGrid, cell_size, pixel_grids
from recon.coherence.layers import depth_layers

__all__ = [
    "AlignmentSettings",
    "DecoderSettings",
    "FlowLoss",
    "FlowTerm",
    "ImplicitDecoder",
    "PixelGrid",
    "PointFlows",
    "RayGaussians",
    "align",
    "cell_size",
    "depth_layers",
    "footprint",
    "pixel_grids",
]
