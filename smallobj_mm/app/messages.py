# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the page says, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from .analysis import Analysis, Detections
from .clips import Analyzed, Clip
from .downloads import MOST_ROWS
from .drawing import MOST_ENLARGED
from .examples import Example

#: Before there is anything to look at.
HINT = '<div class="message">Drop an image or a clip, or take one of the examples.</div>'


def credits_of(examples: Sequence[Example]) -> str:
    """Whose the examples are."""
    names: dict[str, list[str]] = {}
    for example in examples:
        names.setdefault(example.credit, []).append(example.name)
    return html.escape('; '.join(f'{", ".join(of)}: {credit}' for credit, of in names.items()))


def looking(name: str) -> str:
    """That a file is being looked at."""
    return f'<div class="message">Looking for targets in {html.escape(name)} …</div>'


def failure(text: str) -> str:
    """Why there is nothing to see."""
    return f'<div class="message error" role="alert">{html.escape(text)}</div>'


def summary(
    analyzed: Analyzed, analysis: Analysis, detected: Detections, second: bool = False
) -> str:
    """How many targets there are, in which image, and how long it took."""
    number = len(detected.targets.scores)
    height, width = analysis.image.shape[:2]
    above = 'above' if analysis.segmentation else 'from'
    words = 'target' if number == 1 else 'targets'
    parts = [
        f'{html.escape(analysis.name)}, {width} × {height} px',
        f'{html.escape(analysis.model)}, {analyzed.seconds:.1f} s',
    ]
    if isinstance(analyzed, Clip):
        rate = len(analyzed.frames) / max(analyzed.seconds, 1e-9)
        parts.append(f'{len(analyzed.frames)} of {analyzed.total} frames, {rate:.1f} a second')
    if number > MOST_ENLARGED:
        parts.append(f'the best {MOST_ENLARGED} are enlarged')
    if number > MOST_ROWS:
        parts.append(f'the best {MOST_ROWS} are in the table, all are in the download')
    suffix = '_2' if second else ''
    return (
        f'<div class="message" role="status"><span><strong id="count{suffix}">{number}</strong> '
        f'{words} {above} <span id="at{suffix}">{detected.threshold:.2f}</span></span>'
        f'<small>{" · ".join(parts)}</small></div>'
    )
