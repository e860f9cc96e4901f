"""Whatever finite numbers Gaussians hold, the lossy formats write them and read them back within their limits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recon.splats import Gaussians
from recon.splats.formats import read_splats, write_splat, write_spz
from recon.splats.gaussians import SH_C0

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def any_gaussians(draw) -> Gaussians:
    count, degree = draw(st.integers(1, 12)), draw(st.integers(0, 3))

    def tensor(shape, elements=FLOATS):
        return torch.from_numpy(draw(arrays.arrays(np.float32, shape, elements=elements)))

    return Gaussians(
        means=tensor((count, 3), st.floats(-8e6, 8e6, width=32)),
        log_scales=tensor((count, 3), st.floats(-80, 80, width=32)),
        quaternions=tensor((count, 4)),
        opacity_logits=tensor(count),
        sh=tensor((count, (degree + 1) ** 2, 3)),
    )


@settings(max_examples=30, deadline=None)
@given(gaussians=any_gaussians(), version=st.sampled_from([3, 4]))
@pytest.mark.filterwarnings("error")
def test_spz(tmp_path_factory, gaussians, version):
    path = tmp_path_factory.mktemp("any") / "a.spz"
    write_spz(path, gaussians, version=version)
    back = read_splats(path)
    assert all(torch.isfinite(tensor).all() for tensor in back.tensors().values())
    extent = float(gaussians.means.abs().max())
    assert (back.means.double() - gaussians.means.double()).abs().max() <= max(extent / 2**22, 2**-24)
    assert (back.log_scales - gaussians.log_scales.clamp(-10, 5.9375)).abs().max() <= 1 / 32 + 1e-6
    assert (back.opacities - gaussians.opacities).abs().max() <= 0.5 / 255 + 1e-6
    sh = gaussians.sh.clone()
    sh[:, 0].clamp_(-1 / 0.3, 1 / 0.3)
    sh[:, 1:].clamp_(-1, 127 / 128)
    error = (back.sh - sh).abs()
    assert error[:, 0].max() <= 0.5 / 255 / 0.15 + 1e-6
    assert (
        error[:, 1:4].numel() == 0 or error[:, 1:4].max() <= 8 / 128
    )  # the topmost bucket has no upper neighbour
    assert error[:, 4:].numel() == 0 or error[:, 4:].max() <= 16 / 128


@settings(max_examples=30, deadline=None)
@given(gaussians=any_gaussians())
@pytest.mark.filterwarnings("error")
def test_splat(tmp_path_factory, gaussians):
    path = tmp_path_factory.mktemp("any") / "a.splat"
    write_splat(path, gaussians)
    back = read_splats(path)
    assert torch.equal(back.means, gaussians.means)
    torch.testing.assert_close(back.log_scales, gaussians.log_scales.clamp(min=-69.0776), atol=1e-4, rtol=0)
    assert (back.opacities - gaussians.opacities).abs().max() <= 0.5 / 255 + 1e-6
    color = (0.5 + SH_C0 * gaussians.sh[:, :1].double()).clamp(0, 1)
    assert (0.5 + SH_C0 * back.sh.double() - color).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.isfinite(back.quaternions).all() and back.quaternions.any(dim=1).all()
