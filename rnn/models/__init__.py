"""Whole models, and how they are stored."""

from .characters import CharacterModel
from .labels import Classifier, Tagger
from .model import Model
from .numbers import Forecaster, Regressor

__all__ = ["CharacterModel", "Classifier", "Forecaster", "Model", "Regressor", "Tagger"]
