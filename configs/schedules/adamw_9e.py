"""9 epochs at 96 pixels with PyTorch's defaults for AdamW: random weights to a detector in seconds on a CPU.

Every epoch ends with a validation, so that a tuning study may stop a run after any of them.
"""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=9, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=20),
    dict(type="MultiStepLR", begin=0, end=9, by_epoch=True, milestones=[7, 8], gamma=0.1),
]

optim_wrapper = dict(
    type="OptimWrapper",
    # A rate and weight decay that nobody chose for this model: a study has something to find.
    # Fused: 0.7 ms a step in place of 4.0 on one CPU core.
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
)

# 1 device x 8 images.
auto_scale_lr = dict(enable=False, base_batch_size=8)

model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    # Batches of 8 are large enough to learn batch statistics from.
    backbone=dict(norm_eval=False),
)

# Images this small load faster in the training process than worker processes start.
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="Resize", scale=(96, 96), keep_ratio=True),
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ]
    ),
)

val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="Resize", scale=(96, 96), keep_ratio=True),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ]
    ),
)
test_dataloader = val_dataloader
