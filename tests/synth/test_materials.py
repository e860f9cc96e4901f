"""Procedural materials: range, determinism, variety and band limits."""

import numpy as np
import pytest

from recon.synth.materials import MATERIALS, Print, Surface
from recon.synth.noise import Noise, smoothstep
from recon.synth.print_design import DESIGNS


def surface(width=120, height=90, texel=0.0015) -> Surface:
    x, y = np.meshgrid((np.arange(width) + 0.5) * texel, (np.arange(height) + 0.5) * texel)
    return Surface(np.stack([x, y, 0.3 * x], axis=-1), np.stack([x, y], axis=-1), texel)


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_appearance_is_valid_and_deterministic(name):
    first, again, other = (MATERIALS[name]().appearance(surface(), Noise(seed)) for seed in (1, 1, 2))
    assert first.albedo.shape == (90, 120, 3)
    assert np.isfinite(first.albedo).all() and first.albedo.min() >= 0 and first.albedo.max() <= 1
    assert 0 < first.roughness <= 1
    assert first.height is None or (first.height.shape == (90, 120) and np.isfinite(first.height).all())
    assert np.array_equal(first.albedo, again.albedo)
    assert np.abs(first.albedo - other.albedo).mean() > 1e-3


@pytest.mark.parametrize("design", sorted(DESIGNS))
def test_every_print_design_is_detailed(design):
    albedo = Print(design=design).appearance(surface(240, 180), Noise(4)).albedo
    assert albedo.std() > 0.05
    assert len(np.unique((albedo * 30).round().astype(int).reshape(-1, 3), axis=0)) > 30


@pytest.mark.parametrize("wavelength", [0.02, 0.05])
def test_noise_has_unit_deviation_and_nothing_finer_than_its_wavelength(wavelength):
    x, y = np.meshgrid(np.arange(256) * 0.002, np.arange(256) * 0.002)
    values = Noise(3).smooth(np.stack([x, y, 0 * x], axis=-1), wavelength)
    assert values.mean() == pytest.approx(0.0, abs=0.25)
    assert values.std() == pytest.approx(1.0, abs=0.15)
    window = np.hanning(256)
    power = np.abs(np.fft.fft2((values - values.mean()) * window[:, None] * window)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.002), np.fft.fftfreq(256, 0.002)))
    assert power[frequency > 1.0 / wavelength].sum() < 0.08 * power.sum()
    assert power[frequency > 2.0 / wavelength].sum() < 0.005 * power.sum()


def test_coarse_evaluation_agrees_with_the_exact():
    x, y = np.meshgrid(np.arange(300) * 0.001, np.arange(200) * 0.001)
    points = np.stack([x, y, 0 * x], axis=-1)
    exact, coarse = Noise(5).smooth(points, 0.08), Noise(5).smooth(points, 0.08, 0.001)
    assert np.abs(exact - coarse).max() < 0.15
    assert np.abs(exact - coarse).mean() < 0.03


def test_noise_does_not_repeat_after_its_table():
    line = np.stack([np.linspace(0, 3.0, 3000), np.zeros(3000), np.zeros(3000)], axis=-1)[None]
    values = Noise(6).fractal(line, 0.05, 0.01)[0]
    centred = values - values.mean()
    correlation = np.correlate(centred, centred, "full")[3000:] / (centred @ centred)
    assert np.abs(correlation[100:2000]).max() < 0.5


def test_smoothstep_ends():
    np.testing.assert_allclose(smoothstep(1.0, 2.0, np.array([0.0, 1.0, 1.5, 2.0, 9.0])), [0, 0, 0.5, 1, 1])
