# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# iSmallNet, the full model, on NUAA-SIRST with the recipe for few hours: crops around targets,
# exact labels, AdamW, averaged weights, biases that start from the rarity of targets.

_base_ = [
    '../_base_/models/ismallnet.py',
    '../_base_/datasets/nuaa_sirst_crops.py',
    '../_base_/schedules/adamw_irstd.py',
    '../_base_/runtime/default_runtime_seg.py',
]

# -------- changed often --------
max_epochs = 400
batch_size = 8  # crops

# -------- changed sometimes --------
lr = 1e-3
prior_prob = 0.01  # share of target pixels that the logits start from
with_cp = False  # True: less than half the memory of a training step, a third more time

# -------- never changed: where the values above go --------
train_dataloader = dict(batch_size=batch_size)
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=lr))
model = dict(
    backbone=dict(with_cp=with_cp),
    neck=dict(with_cp=with_cp),
    decode_head=dict(prior_prob=prior_prob),
)
