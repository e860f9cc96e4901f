"""The .splat format: errors within its quantisation, the bytes other viewers expect."""

import struct

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.splats import Gaussians
from recon.splats.formats import decode_splat, read_splat, write_splat


def test_round_trip_is_within_the_quantisation(tmp_path, make_gaussians):
    gaussians = make_gaussians(3000, 2)
    write_splat(tmp_path / "a.splat", gaussians)
    back = read_splat(tmp_path / "a.splat")
    assert torch.equal(back.means, gaussians.means)
    torch.testing.assert_close(back.log_scales, gaussians.log_scales, atol=1e-6, rtol=0)
    assert (back.opacities - gaussians.opacities).abs().max() <= 0.5 / 255 + 1e-6
    color = (0.5 + 0.28209479177387814 * gaussians.sh[:, 0]).clamp(0, 1)
    assert back.sh_degree == 0
    assert (0.5 + 0.28209479177387814 * back.sh[:, 0] - color).abs().max() <= 0.5 / 255 + 1e-6
    q = torch.nn.functional.normalize(gaussians.quaternions, dim=1)
    assert (back.quaternions - q).abs().max() <= 1 / 128 + 1e-6  # 1 itself is stored as 127 / 128


def test_bytes_of_one_gaussian(tmp_path):
    sh = (torch.tensor([[1.0, 0.0, 0.2]]) - 0.5) / 0.28209479177387814
    gaussians = Gaussians(
        means=torch.tensor([[1.0, 2.0, -3.0]]),
        log_scales=torch.log(torch.tensor([[0.5, 1.0, 2.0]])),
        quaternions=torch.tensor([[0.0, -2.0, 0.0, 0.0]]),
        opacity_logits=torch.tensor([100.0]),
        sh=sh[:, None],
    )
    write_splat(tmp_path / "a.splat", gaussians)
    expected = struct.pack("<6f8B", 1, 2, -3, 0.5, 1, 2, 255, 0, 51, 255, 128, 0, 128, 128)
    assert (tmp_path / "a.splat").read_bytes() == expected


def test_degenerate_records_stay_finite():
    """Zero sizes and zero rotations, which padding records of other programs have."""
    gaussians = decode_splat(
        struct.pack("<6f8B", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 128, 128, 128), "a.splat"
    )
    assert all(torch.isfinite(tensor).all() for tensor in gaussians.tensors().values())
    assert gaussians.quaternions.tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no Gaussians"),
        (bytes(33), "its 33 bytes are not a multiple of 32"),
        (struct.pack("<6f8x", 0, 0, 0, -1, 1, 1), "has no valid size"),
        (struct.pack("<6f8x", 0, 0, 0, np.nan, 1, 1), "has no valid size"),
        (struct.pack("<6f8x", 0, 0, 0, np.inf, 1, 1), "log scales of Gaussian 0 is NaN or infinite"),
        (struct.pack("<6f8x", 0, np.nan, 0, 1, 1, 1), "means of Gaussian 0 is NaN or infinite"),
    ],
)
def test_bad_files_get_a_sentence(content, words):
    with pytest.raises(ReconError, match=words):
        decode_splat(content, "a.splat")
