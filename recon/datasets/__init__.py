"""Readers for folders of photos and for the data sets of the field; each returns a `recon.scene.Scene`."""

from recon.datasets.export import read_cameras, write_colmap, write_transforms
from recon.datasets.layouts import LAYOUTS, Layout, check_choices, open_scene, recognise
from recon.datasets.photos import open_photos
from recon.datasets.points import read_points, write_points
from recon.datasets.protocols import Protocol, load_protocol, protocol_names
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule, own_split, split_from_file
from recon.datasets.undistort import Distortion, undistort

__all__ = [
    "LAYOUTS",
    "Distortion",
    "Layout",
    "Listing",
    "PictureSize",
    "Protocol",
    "Split",
    "SplitRule",
    "check_choices",
    "load_protocol",
    "open_photos",
    "open_scene",
    "own_split",
    "protocol_names",
    "read_cameras",
    "read_points",
    "recognise",
    "split_from_file",
    "undistort",
    "write_colmap",
    "write_points",
    "write_transforms",
]
