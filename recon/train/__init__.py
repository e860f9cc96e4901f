"""One trainer for every method: views, parameters, objective, rules, callbacks, checkpoints."""

from recon.train.parameters import LearningRates, OptimizedGaussians
from recon.train.trainer import GaussianSource, StepRecord, Trainer, TrainSettings
from recon.train.views import TrainingView, ViewSampler, training_view

__all__ = [
    "GaussianSource",
    "LearningRates",
    "OptimizedGaussians",
    "StepRecord",
    "TrainSettings",
    "Trainer",
    "TrainingView",
    "ViewSampler",
    "training_view",
]
