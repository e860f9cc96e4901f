"""Depth of posed photos, from those photos alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import View
from recon.stereo.cleaning import fill_nearest, small_components
from recon.stereo.consistency import agreement, floats_in_front, looks_different, outside_cutout
from recon.stereo.depth_map import DepthMap
from recon.stereo.depth_range import depth_ranges, wider_ranges
from recon.stereo.matches import TriangulatedMatches, match_working_views
from recon.stereo.matching import RawDepth, match, refine
from recon.stereo.normals import normals_from_depth
from recon.stereo.settings import StereoSettings
from recon.stereo.sources import Source, select_sources
from recon.stereo.upsample import upsample
from recon.stereo.working_view import WorkingView, matchable, working_view

ONE_AGREEMENT = 0.6
"""Confidence of a distinct match that a single other photo confirms; two make it 1. In measurements with six photos,
points that two confirm are 1 to 4 dB better when splatted into held-out views."""
FILLED = 0.5
SOLID = 0.05
"""Confidence from which a surface counts as seen behind another. Measured with nine photos of an object on black, whose
background matches by accident: the points' PSNR on the object rises by 3.3 dB."""
MIN_COMPONENT = 100
"""Pixels; smaller pieces of surface are removed at wide baselines, where they are accidental matches. Rendered before
any training, scan65 gains 0.8 dB on the object over 30 pixels, and 300 or 1000 are no better."""


def estimate_depth(
    views: Sequence[View],
    settings: StereoSettings | None = None,
    *,
    bounds: tuple[float, float] | None = None,
    matches: TriangulatedMatches | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[DepthMap]:
    """Estimate depth and confidence of every photo from the photos given.

    1. Find each photo's depth range from matches and the photos to compare it with; where these look from other
       directions, shrink the photos further.
    2. Sweep planes through each photo's view, choose depths that fit and are smooth.
    3. Keep what another photo's depth confirms; sweep again, now knowing what hides what.
    4. At wide baselines, refine slanted planes and drop small pieces.
    5. Do the same over a range that reaches as far as is plausible, for a plain background behind all matches; at wide
       baselines, where matches are few, as near as is plausible too.
    6. Fill small gaps where no photo looks through the filled surface.

    Only these views are read: held-out photos cannot take part, because nothing here knows the scene they are in.

    Args:
        views: posed photos, at least two.
        bounds: (near, far) z to search where matches are too few.
        matches: of these views, if already known (`triangulate_matches`).
        progress: called with (steps done, steps in all).

    Returns:
        One depth map per view, in order, at the view's size.

    Raises:
        ReconError: for fewer than two photos, or when no two of them show the same part of the scene.
    """
    settings = settings or StereoSettings()
    if len(views) < 2:
        raise ReconError(f"stereo needs at least two photos, got {len(views)}; add photos that overlap")
    working = [working_view(view, settings.working_pixels) for view in views]
    cameras = [view.camera for view in working]
    matches = match_working_views(working) if matches is None else matches
    ranges = depth_ranges(cameras, matches, bounds)
    sources = select_sources(cameras, ranges, settings.max_sources)
    if not any(sources):
        raise ReconError(
            "stereo found no two photos that show the same part of the scene with parallax between them: their "
            "cameras stand at one place or look at different things; check the poses, or add photos that overlap"
        )
    wide = _most_are_wide(sources, settings.wide_baseline)
    if _most_are_wide(sources, settings.coarse_baseline):
        working = [working_view(view, min(settings.coarse_pixels, settings.working_pixels)) for view in views]
    only_object = all(view.cutout is not None for view in views)
    wider = None if only_object else wider_ranges(cameras, ranges, bounds, nearer=wide)
    searched = [ranges] if wider is None else [ranges, wider]
    found: list[list[_Checked]] = []
    for number, of_round in enumerate(searched):
        report = None if progress is None else _part(progress, number, len(searched))
        raw = _match_all(working, sources, of_round, settings, report)
        found.append([_confirm(index, working, raw, sources, settings) for index in range(len(views))])
    confirmed = found[0]
    if len(found) > 1:
        confirmed = [_beyond(*triple) for triple in zip(*found, ranges, strict=True)]
    checked = [_remove_floating(index, working, confirmed) for index in range(len(views))]
    results = []
    for index, view in enumerate(views):
        low = _complete(index, working, checked, settings)
        allowed = matchable(view)
        results.append(upsample(low, working[index].image, view.image, allowed))
    return results


def _match_all(
    views: Sequence[WorkingView],
    sources: Sequence[Sequence[Source]],
    ranges: Sequence[tuple[float, float]],
    settings: StereoSettings,
    progress: Callable[[int, int], None] | None,
) -> list[RawDepth]:
    """Match every photo, the second time with the first results that other photos confirm; refine wide baselines."""
    passes = 2 if settings.second_pass else 1
    trusted: list[Float[ndarray, "h w"]] | None = None
    raw: list[RawDepth] = []
    for number in range(passes):
        before, raw = raw, []
        for index, view in enumerate(views):
            others = [source.index for source in sources[index]]
            if others:
                depths = None if trusted is None else [trusted[other] for other in others]
                result = match(view, [views[o] for o in others], ranges[index], settings.planes, depths)
                raw.append(result if not before else result.doubting(before[index]))
            else:
                nothing = np.zeros((view.camera.height, view.camera.width), np.float32)
                raw.append(RawDepth(nothing, nothing))
            if progress is not None:
                progress(number * len(views) + index + 1, passes * len(views))
        if number + 1 < passes:
            counts = [
                _agreements(index, views, raw, [source.index for source in chosen])
                for index, chosen in enumerate(sources)
            ]
            trusted = [np.where(c > 0, r.depth, np.float32(0)) for c, r in zip(counts, raw, strict=True)]
    for index, view in enumerate(views):
        if is_wide(sources[index], settings.wide_baseline):
            raw[index] = refine(view, [views[s.index] for s in sources[index]], raw[index], ranges[index])
    return raw


def _agreements(
    index: int, views: Sequence[WorkingView], raw: Sequence[RawDepth], others: Iterable[int]
) -> Int[ndarray, "h w"]:
    """Count the other photos whose own depth confirms each pixel's."""
    count = np.zeros(raw[index].depth.shape, np.int32)
    for other in others:
        count += agreement(views[index].camera, raw[index].depth, views[other].camera, raw[other].depth)
    return count


@dataclass(frozen=True, eq=False)
class _Checked:
    """Depth that other photos confirm (else 0), its confidence, and how many do."""

    depth: Float[ndarray, "h w"]
    confidence: Float[ndarray, "h w"]
    agreements: Int[ndarray, "h w"]


def _confirm(
    index: int,
    views: Sequence[WorkingView],
    raw: Sequence[RawDepth],
    sources: Sequence[Sequence[Source]],
    settings: StereoSettings,
) -> _Checked:
    """Keep what at least one other photo confirms."""
    count = _agreements(index, views, raw, _others(index, views))
    depth = np.where(count > 0, raw[index].depth, np.float32(0))
    if is_wide(sources[index], settings.wide_baseline):
        depth[small_components(depth, MIN_COMPONENT)] = 0
    share = np.where(count > 1, np.float32(1), np.float32(ONE_AGREEMENT))
    confidence = np.where(depth > 0, share * raw[index].distinctness, np.float32(0))
    return _Checked(depth, confidence, count)


def _beyond(own: _Checked, wider: _Checked, searched: tuple[float, float]) -> _Checked:
    """Add what a wider search found beyond the range that was searched finely."""
    near, far = searched
    take = (own.depth == 0) & (wider.depth > 0) & ((wider.depth < near) | (wider.depth > far))
    return _Checked(
        np.where(take, wider.depth, own.depth),
        np.where(take, wider.confidence, own.confidence),
        np.where(take, wider.agreements, own.agreements),
    )


def _part(progress: Callable[[int, int], None], number: int, parts: int) -> Callable[[int, int], None]:
    """Return a progress that counts the steps of one part of equally many."""
    return lambda done, total: progress(number * total + done, parts * total)


def _remove_floating(index: int, views: Sequence[WorkingView], confirmed: Sequence[_Checked]) -> _Checked:
    """Drop a surface when as many photos contradict it as confirm it.

    A photo contradicts it when it looks through it, at something solid behind, or shows another colour there. Where
    photos show an object only, what falls beside the object in any of them is dropped.
    """
    view, own = views[index], confirmed[index]
    against = np.zeros(own.depth.shape, np.int32)
    beside = np.zeros(own.depth.shape, bool)
    for other in _others(index, views):
        solid = np.where(confirmed[other].confidence >= SOLID, confirmed[other].depth, np.float32(0))
        against += floats_in_front(view.camera, own.depth, views[other].camera, solid)
        against += looks_different(view, own.depth, views[other], confirmed[other].depth)
        beside |= outside_cutout(view, own.depth, views[other])
    stays = (against < np.maximum(own.agreements, 1)) & ~beside
    return _Checked(own.depth * stays, own.confidence * stays, own.agreements)


def _complete(
    index: int, views: Sequence[WorkingView], checked: Sequence[_Checked], settings: StereoSettings
) -> DepthMap:
    """Fill small gaps, except where another photo looks through the filled surface; add normals."""
    view, own = views[index], checked[index]
    depth, origin = fill_nearest(own.depth, settings.fill_distance, where=view.valid)
    filled = (own.depth == 0) & (depth > 0)
    new = np.where(filled, depth, np.float32(0))
    for other in _others(index, views):
        new[floats_in_front(view.camera, new, views[other].camera, checked[other].depth)] = 0
    filled = new > 0
    depth = np.where(filled, new, own.depth)
    confidence = np.where(filled, FILLED * own.confidence.reshape(-1)[origin], own.confidence)
    return DepthMap(depth, confidence, normals_from_depth(view.camera, depth), filled)


def _others(index: int, views: Sequence[WorkingView]) -> list[int]:
    return [other for other in range(len(views)) if other != index]


def _most_are_wide(sources: Sequence[Sequence[Source]], angle: float) -> bool:
    return sum(is_wide(chosen, angle) for chosen in sources) > len(sources) / 2


def is_wide(sources: Sequence[Source], wide_baseline: float) -> bool:
    """Say whether a photo sees its sources' view at a wide angle (the median over sources)."""
    return bool(sources) and float(np.median([source.angle for source in sources])) > wide_baseline
