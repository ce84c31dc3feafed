# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Helpers that belong to no one part of the package."""
