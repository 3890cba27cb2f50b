"""Boxes of several rows made into those of one: how they are fused, and how their scores are calibrated before."""
