# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Ablation: the decoupled map replaced by two copies of its input.

_base_ = './obsdm_r18_hituav.py'

# -------- changed often, changed sometimes --------
# see obsdm_r18_hituav.py

# -------- never changed: what this variant is --------
model = dict(neck=dict(decoupling='duplicate'))
