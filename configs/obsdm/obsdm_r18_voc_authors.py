# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# The published model, exactly: for checkpoints of the authors and for comparison with them.
# python tools/model_converters/authors_to_mm.py obsdm SRC DST converts such checkpoints.

_base_ = './obsdm_r18_voc.py'

# -------- changed often --------
# see obsdm_r18_voc.py

# -------- changed sometimes --------
num_classes = 20  # 3 for rail workers; the converter prints what the weights hold

# -------- never changed: what is published --------
model = dict(
    neck=dict(
        decoupling='authors',
        decoupling_stats='batch',  # an image's result depends on its neighbors in the batch
    ),
    bbox_head=dict(
        num_classes=num_classes,
        assigner=dict(scale_by_height=True),  # differs from ours on images that are not square
    ),
)
