"""90,000 iterations, cut after 60,000 and 80,000: mmdet's ``retinanet_r50_fpn_90k_coco``."""

_base_ = "step_1x.py"

train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=90000, val_interval=10000)

param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type="MultiStepLR",
        begin=0,
        end=90000,
        by_epoch=False,
        milestones=[60000, 80000],
        gamma=0.1,
    ),
]

train_dataloader = dict(sampler=dict(type="InfiniteSampler"))

# mmdet writes one every 10,000 iterations: hours of work that a kill would lose.
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
log_processor = dict(by_epoch=False)
