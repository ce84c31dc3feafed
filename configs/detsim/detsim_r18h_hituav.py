# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim of the half-width ResNet-18 of obsdm_t on thermal images without labels, 128 px.
# python tools/train.py configs/detsim/detsim_r18h_hituav.py --amp

_base_ = [
    '../_base_/models/detsim_r18.py',
    '../_base_/datasets/ssl_views_128_thermal.py',
    '../_base_/schedules/detsim_100e.py',
    '../_base_/runtime/default_runtime_ssl.py',
]

# -------- changed often --------
max_epochs = 200
batch_size = 64  # images a process; the learning rate follows the total

# -------- changed sometimes --------
widths = [32, 64, 128, 256]  # of the stages
channels = 512  # of the projections
hid_channels = 128  # of the predictors

# -------- never changed: where the values above go --------
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(batch_size=batch_size)
model = dict(
    data_preprocessor=dict(mean=[127, 127, 127], std=[128, 128, 128]),  # as obsdm_t
    backbone=dict(
        _delete_=True,
        type='SSLResNet18',
        base_channels=widths[0],
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='BN', momentum=0.1, eps=1e-3),
    ),
    neck=dict(in_channels=widths, hid_channels=channels, out_channels=channels),
    head=dict(in_channels=channels, hid_channels=hid_channels),
    auxiliary_head=dict(in_channels=widths, hid_channels=hid_channels),
)
