"""What a stream weighs, in the bytes of its files, and whether every byte of it is good."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from recon.errors import ReconError
from recon.streaming.manifest import Manifest
from recon.streaming.reader import StreamReader
from recon.streaming.record import FILE_HEADER_BYTES, Record, sizes


@dataclass
class StreamInfo:
    """What was measured of a stream.

    Attributes:
        sections: stored bytes by kind of section, of the segments.
        keyframe_sections: likewise, of the keyframes.
        frame_bytes: of each residual frame.
        verified: states whose checksum was compared.
    """

    manifest: Manifest
    gaussians: int
    sections: dict[str, int]
    keyframe_sections: dict[str, int]
    frame_bytes: list[int]
    verified: int

    @property
    def segment_bytes(self) -> int:
        return sum(file.bytes for file in self.manifest.segments)

    @property
    def keyframe_bytes(self) -> int:
        return sum(file.bytes for file in self.manifest.keyframes)

    def megabits_per_second(self, with_keyframes: bool) -> float:
        """Return the rate of playing on (without keyframes), or of all files."""
        total = self.segment_bytes + (self.keyframe_bytes if with_keyframes else 0)
        return 8e-6 * total * self.manifest.fps / max(1, self.manifest.frames)

    def lines(self) -> list[str]:
        """Return the figures as text."""
        manifest = self.manifest
        seconds = manifest.frames / manifest.fps
        frames = f"{len(manifest.segments)} segments, {self.segment_bytes} bytes"
        if self.frame_bytes:
            mean, most = np.mean(self.frame_bytes), max(self.frame_bytes)
            frames += f"; a frame takes {mean:.0f} on average, {most} at most"
        playing, all_files = self.megabits_per_second(False), self.megabits_per_second(True)
        lines = [
            f"{manifest.frames} frames, {seconds:.1f} s at {manifest.fps:g} frames per second, "
            f"harmonics of degree {manifest.sh_degree}" + (", live" if manifest.live else ""),
            f"{self.gaussians} Gaussians at the end, {manifest.max_gaussians} at most",
            f"{len(manifest.keyframes)} keyframes, {self.keyframe_bytes} bytes",
            frames,
            f"{playing:.2f} Mbit/s to play on, {all_files:.2f} with all keyframes",
        ]
        for title, sections in (("segments", self.sections), ("keyframes", self.keyframe_sections)):
            total = max(1, sum(sections.values()))
            lines += [f"{title}:"] if sections else []
            for name, size in sorted(sections.items(), key=lambda item: -item[1]):
                lines.append(f"  {name:32}{size:12} bytes {100 * size / total:6.1f} %")
        lines.append(f"verified: the SHA-256 of every file and the checksums of {self.verified} states")
        return lines


def stream_info(folder: str | os.PathLike[str]) -> StreamInfo:
    """Decode a whole stream, comparing every checksum, and measure it.

    Raises:
        ReconError: when anything in it is damaged.
    """
    reader = StreamReader(folder)
    manifest = reader.manifest
    if not manifest.frames:
        raise ReconError(f"{folder} holds a stream without any frame yet")
    keys = [record for file in manifest.keyframes for record in reader.records(file)]
    residuals = [record for file in manifest.segments for record in reader.records(file)]
    verified, gaussians, checksums = 0, 0, {}
    for state in reader.states():
        verified, gaussians = verified + 1, len(state)
        if any(record.frame == state.frame for record in keys):
            checksums[state.frame] = state.checksum()
    for file in manifest.keyframes:
        state = reader.keyframe(file)
        verified += 1
        if not file.preview and state.checksum() != checksums[file.frame]:
            raise ReconError(
                f"{folder}: the keyframe of frame {file.frame} is not what the residuals lead to"
            )
    return StreamInfo(
        manifest,
        gaussians,
        _with_file_headers(residuals, len(manifest.segments)),
        _with_file_headers(keys, len(manifest.keyframes)),
        [record_bytes(record) for record in residuals],
        verified,
    )


def record_bytes(record: Record) -> int:
    """Return the stored bytes of a record."""
    return sum(sizes([record]).values())


def _with_file_headers(records: list[Record], files: int) -> dict[str, int]:
    totals = sizes(records)
    totals["headers"] += FILE_HEADER_BYTES * files
    return totals if files else {}
