"""``mstrain_3x`` for seconds on a CPU: 4 epochs over the data three times, at sizes of 76 to 96 pixels."""

_base_ = "mstrain_3x.py"

train_cfg = dict(max_epochs=4, val_interval=2)

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=20),
    dict(type="MultiStepLR", begin=0, end=4, by_epoch=True, milestones=[3], gamma=0.1),
]

# The rest as in `step_8e`.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=0.002, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
)
auto_scale_lr = dict(base_batch_size=8)
model = dict(backbone=dict(norm_eval=False))

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            pipeline=[
                dict(type="LoadImageFromFile", backend_args=None),
                dict(type="LoadAnnotations", with_bbox=True),
                dict(type="RandomResize", scale=[(76, 76), (96, 96)], keep_ratio=True),
                dict(type="RandomFlip", prob=0.5),
                dict(type="PackDetInputs"),
            ],
        ),
    )
)
