# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Comparison of overlap measures: obsdm_t_hituav.py with the normalized Wasserstein distance in the
# assignment and beside GIoU in the loss.

_base_ = './obsdm_t_hituav.py'

# -------- changed often --------
assign_share = 0.5  # of NWD in the assigner's overlap; the rest is the IoU
loss_weight = 0.5  # of NWD; GIoU has 2 - this

# -------- changed sometimes --------
constant = 27.0  # px, mean square root of the area of HIT-UAV's objects

# -------- never changed: where the values above go --------
model = dict(
    bbox_head=dict(
        loss_bbox=dict(
            _delete_=True,
            type='BoxLossSum',
            losses=[
                dict(type='GIoULoss', loss_weight=2.0 - loss_weight),
                dict(type='NWDLoss', constant=constant, loss_weight=loss_weight),
            ],
        ),
    ),
    train_cfg=dict(
        assigner=dict(
            assigner=dict(
                iou_calculator=dict(type='NWDOverlaps', constant=constant, share=assign_share)
            )
        )
    ),
)
