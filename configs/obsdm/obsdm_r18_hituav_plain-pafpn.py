# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Ablation: a plain PAFPN, without the cross-scale links and without the decoupling.

_base_ = './obsdm_r18_hituav.py'

# -------- changed often, changed sometimes --------
# see obsdm_r18_hituav.py

# -------- never changed: what this variant is --------
model = dict(neck=dict(cross_links=False, decoupling='none'))
