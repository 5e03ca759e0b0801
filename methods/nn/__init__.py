"""Layers, losses and optimizers that several methods share."""
