"""Gaussians: container, initialisation, densification, pruning, file formats."""

from recon.splats.gaussians import Gaussians

__all__ = ["Gaussians"]
