# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What works on whole models."""

from .deploy import switch_to_deploy

__all__ = ['switch_to_deploy']
