"""Two-view geometry on normalised image coordinates (the plane z = 1)."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


def essential_matrix(
    rotation: Float[ndarray, "3 3"], translation: Float[ndarray, " 3"]
) -> Float[ndarray, "3 3"]:
    """Return E = [t]x R for x2 = R x1 + t, with a unit translation (zero stays zero)."""
    length = np.linalg.norm(translation)
    x, y, z = translation / length if length > 0 else translation
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]) @ rotation


def sampson_distance(
    essential: Float[ndarray, "3 3"], first: Float[ndarray, "N 2"], second: Float[ndarray, "N 2"]
) -> Float[ndarray, " N"]:
    """Return the first-order distance of matches to the epipolar geometry, in normalised units.

    Where the geometry is undefined (zero translation, or a match at both epipoles) the distance is infinite.

    Source: Hartley and Zisserman, Multiple View Geometry, 2nd edition, equation 11.9.
    """
    a, b = _homogeneous(first), _homogeneous(second)
    lines_in_second = a @ essential.T
    lines_in_first = b @ essential
    residual = (b * lines_in_second).sum(axis=1)
    gradient = (lines_in_second[:, :2] ** 2).sum(axis=1) + (lines_in_first[:, :2] ** 2).sum(axis=1)
    distance = np.full(len(a), np.inf)
    defined = gradient > 1e-24
    distance[defined] = np.abs(residual[defined]) / np.sqrt(gradient[defined])
    return distance


def in_front_of_both(
    rotation: Float[ndarray, "3 3"],
    translation: Float[ndarray, " 3"],
    first: Float[ndarray, "N 2"],
    second: Float[ndarray, "N 2"],
) -> Bool[ndarray, " N"]:
    """Return which matches triangulate to positive depth in both cameras (x2 = R x1 + t)."""
    depth_first, depth_second = two_view_depths(rotation, translation, first, second)
    return (depth_first > 0) & (depth_second > 0)


def two_view_depths(
    rotation: Float[ndarray, "3 3"],
    translation: Float[ndarray, " 3"],
    first: Float[ndarray, "N 2"],
    second: Float[ndarray, "N 2"],
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Return the depths d1, d2 that minimise |d2 x2 - d1 R x1 - t|; NaN for parallel rays."""
    a, b = _homogeneous(first) @ rotation.T, _homogeneous(second)
    aa, bb, ab = (a * a).sum(axis=1), (b * b).sum(axis=1), (a * b).sum(axis=1)
    at, bt = a @ translation, b @ translation
    determinant = aa * bb - ab**2
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(determinant > 1e-15 * aa * bb, 1.0 / determinant, np.nan)
    return (ab * bt - bb * at) * scale, (aa * bt - ab * at) * scale


def _homogeneous(points: Float[ndarray, "N 2"]) -> Float[ndarray, "N 3"]:
    return np.concatenate([points, np.ones((len(points), 1))], axis=1)
