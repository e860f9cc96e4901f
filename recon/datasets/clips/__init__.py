"""Clips: several synchronised, posed cameras over time, the input of free-viewpoint video."""

from recon.datasets.clips.clip import Clip, RecordedClip, Recording
from recon.datasets.clips.layouts import CLIP_LAYOUTS, open_clip

__all__ = ["CLIP_LAYOUTS", "Clip", "RecordedClip", "Recording", "open_clip"]
