"""Classical inpainting fills the hole and nothing else."""

import numpy as np

from recon.priors import ClassicalInpainting


def test_a_hole_takes_the_colour_around_it():
    image = np.full((30, 40, 3), 0.25, np.float32)
    hole = np.zeros((30, 40), bool)
    hole[10:16, 12:20] = True
    spoiled = image.copy()
    spoiled[hole] = 1.0
    filled = ClassicalInpainting()(spoiled, hole)
    np.testing.assert_allclose(filled, image, atol=0.01)
    np.testing.assert_array_equal(filled[~hole], spoiled[~hole])
