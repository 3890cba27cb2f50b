"""ConvNeXt of 6 blocks and 16 to 128 channels, from random weights; trained with one rate for all layers."""

_base_ = "convnext_tiny.py"

model = dict(
    backbone=dict(
        arch=dict(_delete_=True, depths=[1, 1, 3, 1], channels=[16, 32, 64, 128]),
        drop_path_rate=0.0,
        init_cfg=None,
    ),
    neck=dict(in_channels=[16, 32, 64, 128]),
)

# A rate that decays by layer keeps what pretrained layers know. At 0.005 in place of 0.002 nothing is learned.
optim_wrapper = dict(paramwise_cfg=dict(decay_rate=1.0), optimizer=dict(lr=0.002))

train_dataloader = dict(batch_size=8, num_workers=0)
