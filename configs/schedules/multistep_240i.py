"""``multistep_90k`` for seconds on a CPU: 240 iterations, cut after 160 and 214."""

_base_ = "multistep_90k.py"

train_cfg = dict(max_iters=240, val_interval=120)

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=20),
    dict(type="MultiStepLR", begin=0, end=240, by_epoch=False, milestones=[160, 214], gamma=0.1),
]

# The rest as in `step_8e`.
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="AdamW", lr=0.002, weight_decay=0.01, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
)
auto_scale_lr = dict(base_batch_size=8)
model = dict(backbone=dict(norm_eval=False))

default_hooks = dict(checkpoint=dict(interval=120))
