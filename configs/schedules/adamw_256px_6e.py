"""6 epochs at 256 pixels with AdamW: a backbone with pretrained weights to a detector in minutes on a CPU.

The backbone, which has learnt before, learns at 0.3 of the rate.
"""

_base_ = "adamw_9e.py"

train_cfg = dict(max_epochs=6, val_interval=3)

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=30),
    dict(type="MultiStepLR", begin=0, end=6, by_epoch=True, milestones=[4, 5], gamma=0.1),
]

optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.3))),
)

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="Resize", scale=(256, 256), keep_ratio=True),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ]
    ),
)

val_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="Resize", scale=(256, 256), keep_ratio=True),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ]
    ),
)
test_dataloader = val_dataloader
