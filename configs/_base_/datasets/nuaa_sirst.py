# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# NUAA-SIRST: 213 infrared images to train and 214 to test, of many sizes. Trained as in
# nudt_sirst.py, tested at one size.

_base_ = './nudt_sirst.py'

data_root = 'data/NUAA-SIRST'
test_scale = (352, 352)  # px, (width, height) that the network is given

test_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='Resize', scale=test_scale),
    # After the resize: the truth keeps the original size, in which it is compared.
    dict(type='LoadBinaryMask'),
    dict(type='PackIRSTDInputs'),
]

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
