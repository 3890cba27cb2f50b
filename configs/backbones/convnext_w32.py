"""ConvNeXt of 12 blocks and 32 to 256 channels, trained as ``convnext_w16`` is, at half its rate."""

_base_ = "convnext_w16.py"

model = dict(
    backbone=dict(arch=dict(depths=[2, 2, 6, 2], channels=[32, 64, 128, 256])),
    neck=dict(in_channels=[32, 64, 128, 256]),
)

# At 0.002 one seed of three learnt next to nothing.
optim_wrapper = dict(optimizer=dict(lr=0.001))
