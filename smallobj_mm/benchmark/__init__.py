# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time and memory of models, as ratios against a baseline of the same run."""
