# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# DetSim on your own images, without labels: color or gray, any sizes, subfolders included.
# python tools/train.py configs/detsim/detsim_r18_folder.py \
#     --cfg-options train_dataloader.dataset.data_root=PATH

_base_ = [
    '../_base_/models/detsim_r18.py',
    '../_base_/datasets/ssl_views_224.py',
    '../_base_/schedules/detsim_100e.py',
    '../_base_/runtime/default_runtime_ssl.py',
]

# -------- changed often --------
data_root = 'data/images'  # the folder
max_epochs = 100
batch_size = 128  # images a process; the learning rate follows the total

# -------- changed sometimes --------
image_list = None  # text file below data_root, one image a line; None: all images

# -------- never changed: where the values above go --------
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(data_root=data_root, image_list=image_list)
)
