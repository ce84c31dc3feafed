# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim within the reach of a CPU: 96 px views of three mixed data sets, narrower projectors.
# Also the pattern for several data sets of your own (list: _base_/datasets/ssl_views_96.py).

_base_ = [
    '../_base_/models/detsim_r18.py',
    '../_base_/datasets/ssl_views_96.py',
    '../_base_/schedules/detsim_100e.py',
    '../_base_/runtime/default_runtime_ssl.py',
]

# -------- changed often --------
max_epochs = 100
batch_size = 64  # images a process; the learning rate follows the total

# -------- changed sometimes --------
channels = 512  # of the projections; 2048 in the published model
hid_channels = 128  # of the predictors; 512 in the published model

# -------- never changed: where the values above go --------
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(batch_size=batch_size)
model = dict(
    neck=dict(hid_channels=channels, out_channels=channels),
    head=dict(in_channels=channels, hid_channels=hid_channels),
    auxiliary_head=dict(hid_channels=hid_channels),
)
