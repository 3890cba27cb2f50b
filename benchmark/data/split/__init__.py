"""Divides the images of an annotation file: into folds, or into a part to train on and one to hold out."""
