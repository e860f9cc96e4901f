"""How a stream is encoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LatentSettings:
    """The quantised residual of one attribute."""

    count: int
    """Latents per Gaussian."""
    rate: float
    """Step size of the latents, in units of which one is the quantisation step."""
    decoder_rate: float
    """Step size of the decoder's entries, in units of the attribute."""
    decoder_spread: float
    """Standard deviation of the decoder's entries before the first residual."""


@dataclass(frozen=True)
class AttributeLatents:
    """The quantised residuals; the defaults are QUEEN's for N3DV (appendix; spreads from the released code)."""

    log_scales: LatentSettings = LatentSettings(8, 0.01, 1e-4, 1e-3)
    quaternions: LatentSettings = LatentSettings(6, 0.025, 1e-3, 1e-2)
    opacity_logits: LatentSettings = LatentSettings(3, 0.05, 1e-4, 1e-4)
    sh_base: LatentSettings = LatentSettings(8, 0.0125, 1e-3, 1e-4)
    sh_rest: LatentSettings = LatentSettings(4, 0.000625, 1e-3, 1e-1)


@dataclass(frozen=True)
class PlainRates:
    """Step sizes of residuals that are not quantised: 3DGS's."""

    log_scales: float = 5e-3
    quaternions: float = 1e-3
    opacity_logits: float = 5e-2
    sh_base: float = 2.5e-3
    sh_rest: float = 1.25e-4


@dataclass(frozen=True)
class GateSettings:
    """Hard-concrete gates, which close what a frame does not need to change (QUEEN, section 3.3)."""

    enabled: bool = True
    """Without gates every residual is kept that is not rounded to zero."""
    scope: Literal["positions", "all"] = "all"
    """What a gate closes: moves of the centre (QUEEN), or every residual of the Gaussian."""
    shared: Literal["splat", "anchor"] = "anchor"
    """Whose the gates are: each Gaussian's (QUEEN), or those of all Gaussians in a cell of a fixed grid (S2GS)."""
    start: Literal["gradients", "open"] = "gradients"
    """Start from the view-space gradient difference, or with all gates half open."""
    penalty: float = 0.01
    """Weight of the mean probability that a gate is open."""
    rate: float = 0.1
    """Step size of the gates' logarithm."""
    temperature: float = 0.3
    lowest: float = -0.5
    highest: float = 1.01
    """The concrete value is stretched from [0, 1] to [lowest, highest] and cut off to [0, 1] again."""


@dataclass(frozen=True)
class BirthSettings:
    """New Gaussians of a frame (QUEEN, appendix; 3DGS, section 5.2)."""

    most: int = 0
    """New Gaussians per frame at most; 0 for none."""
    gradient: float = 1.25e-3
    """They stand where the mean view-space gradient exceeds this; pictures are two units wide and high."""
    at: float = 0.4
    """Share of the iterations after which they come; until then gradients are collected."""
    opacity: float = 0.1
    """What they start with."""
    least_opacity: float = 0.01
    """New Gaussians that end below it are not kept."""


@dataclass(frozen=True)
class RenewalSettings:
    """Reconstructing anew what has moved."""

    seconds: float = 0.5
    """From one renewal to the next; 0: never."""
    difference: float = 0.06
    """A pixel has changed when a colour differs by more than this from the last renewal's photo, of 1."""
    window: int = 3
    """Photos are averaged over this many pixels each way before they are compared; odd."""
    share: float = 0.5
    """Gaussians are replaced when more than this share of what they draw lies on changed pixels."""
    iterations: int = 150
    """Optimisation steps in which those who enter fit themselves in among those who stay."""
    dropout: float = 0.1
    """Share of all Gaussians that each of these steps leaves out."""


@dataclass(frozen=True)
class QueenSettings:
    """One residual frame."""

    iterations: int = 160
    """Optimisation steps (QUEEN: 10 times the number of cameras, about 200)."""
    means_pixels: float = 0.15
    """Step of the centres at the start, in pixels at the median depth."""
    means_final: float = 0.1
    """Factor that it has decayed to at the end (exponentially)."""
    position_step: float = 0.1
    """Quantisation step of the centres' moves, in pixels at the median depth."""
    quantised: bool = True
    """Latents and decoders; otherwise every attribute's residual is stored as it is, on the stream's grids."""
    latents: AttributeLatents = field(default_factory=AttributeLatents)
    plain_rates: PlainRates = field(default_factory=PlainRates)
    """Step sizes of the attributes where they are not quantised."""
    gates: GateSettings = field(default_factory=GateSettings)
    anchors: bool = True
    """Cells of a fixed grid move their Gaussians together before these move on their own."""
    anchor_pixels: float = 12.0
    """Side of those cells, in pixels at the median depth."""
    deviations: float = 15.0
    """Only Gaussians whose view-space gradient difference is this far above the still ones' change at all; 0: all."""
    masked_share: float = 0.3
    """Share of the iterations that compare only the pixels that dynamic Gaussians cover (QUEEN, section 3.4)."""
    mask_block: int = 24
    """Side of the blocks in which those pixels are taken, in pixels of the pictures."""
    ssim_weight: float = 0.2
    dropout: float = 0.1
    """Share of the Gaussians that each step leaves out, at random: none may lean on what only one camera sees."""
    kilobyte_cost: float = 3e-5
    """What a kilobyte of the frame adds to the loss, by an estimate of its bits; 0: nothing."""
    births: BirthSettings = field(default_factory=BirthSettings)
    remove_below: float = 0.005
    """Gaussians of this opacity or less leave the stream (3DGS's pruning)."""
