"""Why photos could not be placed, and what to photograph next, in sentences."""

from collections.abc import Sequence

from recon.poses.features import FeatureSet
from recon.poses.mapping import Model
from recon.poses.outcome import Outcome, most_believable

NEEDED_MATCHES = 30
"""Verified matches with one other photo below which a photo can hardly be placed (COLMAP's default for a resection)."""

MOST_GROUPS = 3
"""Photos and groups without overlap that get a sentence each; the others are listed."""

STRONG_MATCHES = 100
"""Verified matches from which two photos certainly overlap."""


def diagnose(
    features: FeatureSet, outcomes: Sequence[Outcome], accepted: Model | None, left_out: dict[str, str]
) -> tuple[str, ...]:
    """Return what a person should know: nothing when every photo has a certified camera.

    Args:
        accepted: the model that is returned, or None when the set is refused.
        left_out: photos that took no part and why.
    """
    sentences = [f"{name} takes no part: {reason}." for name, reason in left_out.items()]
    usable = [photo for photo in range(features.count) if features.names[photo] not in left_out]
    certified = accepted is not None and any(o.model is accepted and o.certified for o in outcomes)
    if certified and accepted is not None:
        missing = [photo for photo in usable if photo not in accepted.photos]
        return (*sentences, *(_missing_sentence(features, accepted, photo) for photo in missing))
    if len(usable) < 2:
        return (
            *sentences,
            "Fewer than two usable photos remain: add photos that overlap by about two thirds.",
        )
    sentences += _overlap_sentences(features, usable)
    best = most_believable(outcomes)
    if best is None:
        if len(_groups(features, usable)) == 1:
            sentences += _parallax_sentences(features, usable)
    else:
        sentences += _model_sentences(features, best, len(usable))
    return tuple(sentences) or (
        "The photos overlap, but no mapper found cameras for them: add photos in between.",
    )


def explain_left_out(features: FeatureSet, model: Model, already: dict[str, str]) -> dict[str, str]:
    """Return for each photo without a camera, not explained already, why it has none."""
    return {
        features.names[photo]: _missing_reason(features, model, photo)
        for photo in range(features.count)
        if photo not in model.photos and features.names[photo] not in already
    }


def _missing_reason(features: FeatureSet, model: Model, photo: int) -> str:
    partner, shared = _best_partner(features, photo, model.photos)
    if shared < NEEDED_MATCHES:
        return (
            f"it shares {_count(shared)} with its best partner {features.names[partner]} (about {NEEDED_MATCHES} are "
            "needed)"
        )
    return (
        f"its {shared} verified matches with {features.names[partner]} do not place it in a way that the other matches "
        "confirm"
    )


def _missing_sentence(features: FeatureSet, model: Model, photo: int) -> str:
    partner, _ = _best_partner(features, photo, model.photos)
    name = features.names[photo]
    return (
        f"{name} is left out: {_missing_reason(features, model, photo)}; to include it, take one photo between "
        f"{name} and {features.names[partner]}."
    )


def _overlap_sentences(features: FeatureSet, usable: Sequence[int]) -> list[str]:
    """Say which photos or groups of photos overlap with no other, each with its closest."""
    groups = _groups(features, usable)
    if len(groups) == 1:
        return []
    largest = max(groups, key=len)
    if len(largest) == 1 and len(groups) > 2:
        i, j, shared = max(
            (_closest_pair(features, group, _without(usable, group)) for group in groups), key=_shared
        )
        return [
            f"No two of the photos {_list(features, usable)} overlap enough: the closest are {features.names[i]} and "
            f"{features.names[j]} with {_count(shared)} (about {NEEDED_MATCHES} are needed). Take more photos, each "
            "sharing about two thirds of its view with the one before."
        ]
    alone = [group for group in groups if group is not largest]
    closest = [(group, *_closest_pair(features, group, _without(usable, group))) for group in alone]
    closest.sort(key=_shared, reverse=True)
    sentences = [_group_sentence(features, *item) for item in closest[:MOST_GROUPS]]
    if len(closest) > MOST_GROUPS:
        rest = [photo for group, *_ in closest[MOST_GROUPS:] for photo in group]
        sentences.append(f"The same holds for {_list(features, sorted(rest))}.")
    return sentences


def _group_sentence(
    features: FeatureSet, group: Sequence[int], inside: int, outside: int, shared: int
) -> str:
    a, b = features.names[inside], features.names[outside]
    subject = f"{a} does" if len(group) == 1 else f"{_list(features, group)} overlap with each other but do"
    return (
        f"{subject} not overlap enough with the other photos: {_count(shared)} between {a} and {b}, the closest (about "
        f"{NEEDED_MATCHES} are needed). Take one or two photos between {a} and {b}."
    )


def _model_sentences(features: FeatureSet, outcome: Outcome, usable: int) -> list[str]:
    """Say why the best model found was not certified and what would help."""
    model, evidence, verdict = outcome.model, outcome.evidence, outcome.verdict
    if model is None or evidence is None or verdict is None:
        return []
    placed = f"{len(model.photos)} of {usable} photos could be placed"
    if verdict.level == "plausible" and len(model.photos) == 2:
        a, b = (features.names[photo] for photo in model.photos)
        return [
            f"{placed}: {a} and {b} fit together, but nothing can check two photos. Add a third that overlaps with "
            "both, or accept uncertified poses."
        ]
    if verdict.level == "plausible":
        return [
            f"{placed} and their matches agree, but {verdict.reasons[-1]}: other focal lengths explain the photos "
            "as well, with other poses. State the focal length (35 mm equivalent, or photos that still carry EXIF "
            "data), add photos from other directions and distances, or accept uncertified poses."
        ]
    sentences = [f"{placed}, but the result cannot be trusted: {'; '.join(verdict.reasons)}."]
    split = evidence.weakest_split if evidence.worst_split_explained < 0.97 else evidence.thinnest_split
    if split and split[0]:
        near, far, shared = _closest_pair(features, split[0], split[1])
        sentences.append(
            f"The weakest link ties {_list(features, split[0])} to {_list(features, split[1])}: take one or two "
            f"photos between {features.names[near]} and {features.names[far]} ({shared} verified matches now)."
        )
    return sentences


def _parallax_sentences(features: FeatureSet, usable: Sequence[int]) -> list[str]:
    """Speak of missing sideways movement where photos overlap well and still no model exists."""
    turned = [
        (i, j)
        for (i, j), pair in features.matches.items()
        if i in usable and j in usable and pair.only_rotation and len(pair.verified) >= NEEDED_MATCHES
    ]
    if turned:
        i, j = turned[0]
        return [
            f"Between {features.names[i]} and {features.names[j]} the camera seems to have turned without moving: "
            "depth only shows when the camera moves sideways. Take photos from other places."
        ]
    if any(features.verified_count(i, j) >= STRONG_MATCHES for i in usable for j in usable if i < j):
        return [
            "The photos overlap, but were taken from almost the same place: move sideways between photos by about a "
            "tenth of the distance to the scene."
        ]
    return ["The photos overlap only weakly with each other: take photos in between."]


def _groups(features: FeatureSet, photos: Sequence[int]) -> list[list[int]]:
    """Return the groups of photos tied by pairs with enough verified matches."""
    waiting, groups = list(photos), []
    while waiting:
        group = [waiting.pop(0)]
        for member in group:  # grows while it is walked
            near = [p for p in waiting if features.verified_count(member, p) >= NEEDED_MATCHES]
            group += near
            waiting = [p for p in waiting if p not in near]
        groups.append(sorted(group))
    return groups


def _best_partner(features: FeatureSet, photo: int, others: Sequence[int]) -> tuple[int, int]:
    _, partner, shared = _closest_pair(features, [photo], [other for other in others if other != photo])
    return partner, shared


def _closest_pair(features: FeatureSet, first: Sequence[int], second: Sequence[int]) -> tuple[int, int, int]:
    """Return the pair across two groups with most verified (then raw) matches, and how many are verified."""
    i, j = max(
        ((i, j) for i in first for j in second),
        key=lambda pair: (
            features.verified_count(*pair),
            len(features.matches[min(pair), max(pair)].raw),
        ),
    )
    return i, j, features.verified_count(i, j)


def _shared(item: Sequence) -> int:
    return item[-1]


def _without(photos: Sequence[int], group: Sequence[int]) -> list[int]:
    return [photo for photo in photos if photo not in group]


def _count(shared: int) -> str:
    return "no verified matches" if shared == 0 else f"only {shared} verified matches"


def _list(features: FeatureSet, photos: Sequence[int]) -> str:
    names = [features.names[photo] for photo in photos]
    if len(names) > 5:
        names = [*names[:4], f"{len(names) - 4} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
