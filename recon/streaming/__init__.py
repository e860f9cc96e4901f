"""Streams of moving Gaussians: a format for free-viewpoint video that any file server hosts.

`docs/stream-format.md` describes every byte. `StreamWriter` and `StreamReader` write and read folders; `encode_…`,
`decode_…` and `apply_record` are what they are made of. `viewer/src/stream/` is the twin in TypeScript.
"""

from recon.streaming.apply import apply_record, apply_residual, placement
from recon.streaming.info import StreamInfo, stream_info
from recon.streaming.keyframe import decode_keyframe, encode_keyframe
from recon.streaming.layout import Codec, FileKind, RecordKind, SectionId
from recon.streaming.manifest import Manifest, read_manifest
from recon.streaming.reader import StreamReader
from recon.streaming.record import Record, file_bytes, parse_file, parse_record
from recon.streaming.residual import Births, Latents, Residual, births_of, decode_residual, encode_residual
from recon.streaming.state import Decoder, StreamState, decoder_of, state_of
from recon.streaming.writer import StreamOptions, StreamWriter

__all__ = [
    "Births",
    "Codec",
    "Decoder",
    "FileKind",
    "Latents",
    "Manifest",
    "Record",
    "RecordKind",
    "Residual",
    "SectionId",
    "StreamInfo",
    "StreamOptions",
    "StreamReader",
    "StreamState",
    "StreamWriter",
    "apply_record",
    "apply_residual",
    "births_of",
    "decode_keyframe",
    "decode_residual",
    "decoder_of",
    "encode_keyframe",
    "encode_residual",
    "file_bytes",
    "parse_file",
    "parse_record",
    "placement",
    "read_manifest",
    "state_of",
    "stream_info",
]
