"""Every architecture, loss, optimizer and scheduler as published, in minutes on a laptop's CPU.

Its numbers say that the code works, nothing about the models.
"""

# Batches this small load faster in the training process than worker processes start.
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)

default_hooks = dict(logger=dict(interval=4))

# The published learning rates are those of 8 GPUs; from random weights on one device they end in NaN.
auto_scale_lr = dict(enable=True)

# After so few iterations no score reaches the published 0.05: boxes, NMS and evaluation would go untried.
model = dict(test_cfg=dict(score_thr=0.001))

# Applied to the merged config by benchmark/config/shrink.py, which says what each means.
shrink = dict(longest_side=128, epochs=3, images=16, val_images=24, pretrained=False)
