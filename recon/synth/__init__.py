"""Scenes with known truth: a fast ray caster for tests, and a generator of photographic scenes and clips."""

from recon.synth.generate import Generated, generate
from recon.synth.raycast import RaycastScene, raycast_scene
from recon.synth.recipe import Recipe, load_recipe, recipes

__all__ = [
    "Generated",
    "RaycastScene",
    "Recipe",
    "generate",
    "load_recipe",
    "raycast_scene",
    "recipes",
]
