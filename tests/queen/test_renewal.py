"""Renewal: what has changed is replaced by a fresh reconstruction, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_scene import PIXEL, moment, scene

from recon.queen.renewal import ChangedPixels, renewed, share_within
from recon.queen.settings import RenewalSettings
from recon.splats import Gaussians
from recon.streaming import Latents, Residual, apply_record, apply_residual, encode_residual, parse_record

SETTINGS = RenewalSettings(iterations=20)


def changed(*shifts: float) -> ChangedPixels:
    """Return what changes on the way over these places of the ball."""
    pixels = ChangedPixels(moment(scene(shifts[0])).views, SETTINGS)
    for shift in shifts[1:]:
        pixels.add(moment(scene(shift)).views)
    return pixels


def test_pixels_that_change_and_change_back_have_changed() -> None:
    there = changed(0.0, 0.3).masks()
    back = changed(0.0, 0.3, 0.0).masks()
    assert all(torch.equal(there[name], back[name]) for name in there)
    assert all(0.02 < mask.float().mean() < 0.4 for mask in there.values())
    assert not any(mask.any() for mask in changed(0.0, 0.0).masks().values())


def test_a_camera_that_joins_later_is_left_out() -> None:
    views = moment(scene(0.0)).views
    pixels = ChangedPixels(views[:2], SETTINGS)
    pixels.add(moment(scene(0.3)).views)
    assert set(pixels.masks()) == {view.name for view in views[:2]}
    assert share_within(scene(0.3), views, pixels.masks()).max() > 0.5


def test_shares_are_those_of_what_is_drawn(moving) -> None:
    views, gaussians = moving.now.views, moving.state.gaussians()
    gaussians.means[0] = torch.tensor([0.0, 0.0, -50.0])  # behind all cameras
    left = {view.name: torch.zeros(view.height, view.width, dtype=torch.bool) for view in views}
    for mask in left.values():
        mask[:, : mask.shape[1] // 2] = True
    shares, others = (
        share_within(gaussians, views, masks) for masks in (left, {n: ~m for n, m in left.items()})
    )
    assert shares[0] == others[0] == 0
    assert torch.allclose(shares[1:] + others[1:], torch.ones(len(gaussians) - 1), atol=1e-4)
    assert shares[gaussians.means[:, 0] < -1].min() > 0.9 > 0.1 > shares[gaussians.means[:, 0] > 1].max()


def test_the_ball_is_replaced_and_the_still_sheet_keeps_its_bits(moving) -> None:
    """The state has the ball where it was; the fresh reconstruction has it where it is."""
    masks = changed(0.0, 0.12).masks()
    before, error = moving.state.copy(), moving.error(moving.state)
    residual = renewed(
        moving.state, Residual(), scene(0.12), moving.now, masks, SETTINGS, PIXEL, torch.Generator()
    )
    assert residual.births is not None and len(residual.births) >= 50
    record = encode_residual(residual, moving.state, 1)
    apply_residual(moving.state, residual)
    record.checksum = moving.state.checksum()
    played = before.copy()
    apply_record(played, parse_record(record.to_bytes(), "the frame")[0], "the frame")
    assert moving.error(moving.state) < 0.2 * error
    stayed = np.setdiff1d(np.arange(min(len(before), len(moving.state))), residual.removed)
    for name, array in before.arrays.items():
        assert np.array_equal(array[stayed], moving.state.arrays[name][stayed]), name
    sheet = np.setdiff1d(np.arange(len(before)), moving.ball)
    assert (
        np.isin(sheet, residual.removed).mean() < 0.3 and np.isin(moving.ball, residual.removed).mean() > 0.6
    )


def test_those_who_enter_fit_themselves_in(moving) -> None:
    masks = changed(0.0, 0.12).masks()
    fresh = scene(0.12)
    fresh.sh[:, 0] += 0.3  # brighter than the photos
    errors = []
    for iterations in (0, 40):
        state, settings = moving.state.copy(), replace(SETTINGS, iterations=iterations)
        generator = torch.Generator().manual_seed(0)
        residual = renewed(state, Residual(), fresh, moving.now, masks, settings, PIXEL, generator)
        apply_residual(state, residual)
        errors.append(moving.error(state))
    assert errors[1] < 0.8 * errors[0]


def test_what_is_said_of_those_who_leave_is_left_out(moving) -> None:
    masks = changed(0.0, 0.12).masks()
    rows = np.arange(len(moving.state), dtype=np.int32)
    said = Residual(
        gated=rows,
        positions=np.ones((len(rows), 3), np.int32),
        latents={5: Latents(rows, np.ones((len(rows), 2), np.int32), 1)},
    )
    said.decoders = {5: moving.state.decoders.get(5) or _decoder(moving.state)}
    residual = renewed(moving.state, said, scene(0.12), moving.now, masks, SETTINGS, PIXEL, torch.Generator())
    assert len(residual.removed)
    for kept in (residual.gated, residual.latents[5].rows):
        assert np.array_equal(kept, np.setdiff1d(rows, residual.removed))
    apply_residual(moving.state, residual)


@pytest.mark.parametrize(
    "fresh", [scene(0.12)[torch.zeros(285, dtype=torch.bool)], None], ids=["none", "still"]
)
def test_without_anything_new_the_residual_stays_as_it_is(moving, fresh: Gaussians | None) -> None:
    masks = changed(0.0, 0.12 if fresh is not None else 0.0).masks()
    said, fresh = Residual(), scene(0.12) if fresh is None else fresh
    generator = torch.Generator()
    result = renewed(moving.state, said, fresh, moving.now, masks, SETTINGS, PIXEL, generator)
    assert result is said


def test_removals_of_the_residual_itself_are_kept(moving) -> None:
    masks = changed(0.0, 0.12).masks()
    gone = np.setdiff1d(np.arange(len(moving.state)), moving.ball)[:3].astype(np.int32)
    said = replace(Residual(), removed=gone)
    residual = renewed(moving.state, said, scene(0.12), moving.now, masks, SETTINGS, PIXEL, torch.Generator())
    assert np.isin(gone, residual.removed).all() and (np.diff(residual.removed) > 0).all()


def _decoder(state):
    from recon.streaming import decoder_of

    return decoder_of(np.full((9, 2), 0.01), state, "sh_rest")
