"""Sparse-view 3D reconstruction: a few photos in, a 3D scene and an honest report out."""

__version__ = "0.1.0"
