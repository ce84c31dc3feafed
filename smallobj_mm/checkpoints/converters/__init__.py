# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the authors' programs under our names, a file for each system."""
