# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# IRSTD-1k: 800 infrared images to train and 201 to test, 512x512 px, tested at native size. The
# rest is as in nudt_sirst.py.

_base_ = './nudt_sirst.py'

data_root = 'data/IRSTD-1k'

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
