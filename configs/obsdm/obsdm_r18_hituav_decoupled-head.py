# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Separate branches for the classes and for box and objectness.

_base_ = './obsdm_r18_hituav.py'

# -------- changed often, changed sometimes --------
# see obsdm_r18_hituav.py

# -------- never changed: what this variant is --------
model = dict(bbox_head=dict(head_module=dict(decoupled=True)))
