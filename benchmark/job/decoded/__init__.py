"""Decoded images that are kept: by the first epoch that loads them, for all that come after and the runs beside.

What a transform would have made of a file stands in the place of reading, decoding and, where the pipeline goes on with
a resize to one size, resizing it; every byte of it is the same. How it gets there:

- `transforms` has mmcv's ``LoadImageFromFile`` and ``Resize`` ask a store first. It is they that are asked, and not the
  configs that name them: so whatever loads an image does it the same way, within `MultiImageMixDataset`, in a pipeline
  that a hook switches to, under test-time augmentation, and ``config.py`` stays what stock mmdet runs.
- `keys` says what an image is known by: the file as it is now, the transforms' settings, and the libraries.
- `arena` and `folder` are the two stores: memory that several processes share, and files.
- `entry` is what both hold: a header and the bytes of the array. Nothing of it is code.
"""
