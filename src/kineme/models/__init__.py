"""Clip to scores: one file for each approach, backbones, the model file."""
