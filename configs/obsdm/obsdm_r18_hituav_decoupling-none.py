# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Ablation: a plain 1x1 convolution in place of the decoupling block.

_base_ = './obsdm_r18_hituav.py'

# -------- changed often, changed sometimes --------
# see obsdm_r18_hituav.py

# -------- never changed: what this variant is --------
model = dict(neck=dict(decoupling='none'))
