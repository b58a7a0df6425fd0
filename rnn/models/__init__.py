"""Whole models, and how they are stored."""

from .characters import CharacterModel

__all__ = ["CharacterModel"]
