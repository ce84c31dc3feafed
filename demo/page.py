# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The page: what is where on it, and what happens when something is touched."""

from __future__ import annotations

import html
import logging
import time
from pathlib import Path

import cv2
import gradio as gr
from analysis import LEAST, MOST, Analysis, Found, analyse, find, starting_threshold
from downloads import HEADERS, MOST_ROWS, table_rows, write_archive
from drawing import MOST_ENLARGED, VIEWS, draw, enlarge_targets
from samples import write_samples

from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.utils.cli import one_line

_STYLE = Path(__file__).with_name('style.css')
#: Seconds that an image which nobody asks about any more is kept.
_KEPT = 3600
_HINT = (
    '<div class="message hint">Drop an image on the left, or take one of the examples.</div>'
)  # fmt: skip


def theme() -> gr.themes.Base:
    """Fonts that the system has, so that nothing is fetched."""
    return gr.themes.Base(
        primary_hue='cyan',
        neutral_hue='slate',
        radius_size='sm',
        font=['system-ui', 'sans-serif'],
        font_mono=['ui-monospace', 'monospace'],
    )


def style() -> str:
    """The style sheet."""
    return _STYLE.read_text(encoding='utf-8')


class Page:
    """The page and what it does.

    Args:
        models: Models by the names that the page shows.
        folder: Where examples and archives are written; it lives as long as the page.

    Attributes:
        blocks: The page, to be launched.
    """

    def __init__(self, models: dict[str, SmallObjectInferencer], folder: str | Path) -> None:
        self.models = models
        self.folder = Path(folder)
        self.samples = write_samples(self.folder / 'examples')
        with gr.Blocks(
            title='Small objects', analytics_enabled=False, delete_cache=(_KEPT, _KEPT)
        ) as self.blocks:
            self._lay_out()
            self._connect()

    def _lay_out(self) -> None:
        """Put everything in its place: choices on the left, results on the right."""
        first, inferencer = next(iter(self.models.items()))
        views = VIEWS[inferencer.task == 'segmentation']
        self.analysis = gr.State(None, time_to_live=_KEPT)
        gr.HTML(
            '<h1>Small objects</h1><p>Find what is only a few pixels large. The image stays on '
            'the machine that this page runs on.</p>',
            elem_id='title',
        )
        with gr.Row(elem_id='body'):
            with gr.Column(scale=1, min_width=300, elem_id='choices'):
                self.file = gr.File(label='Image', height=150, elem_id='file')
                self.examples = gr.Gallery(
                    [(path, Path(path).stem) for path in self.samples],
                    label='Examples (synthetic)', columns=3, height=140, allow_preview=False,
                    object_fit='cover', buttons=[], interactive=False, elem_id='examples',
                )  # fmt: skip
                self.model = gr.Dropdown(
                    list(self.models), value=first, label='Model', filterable=False,
                    interactive=True, elem_id='model',
                )  # fmt: skip
                self.threshold = gr.Slider(
                    LEAST, MOST, starting_threshold(inferencer), step=0.01, label='Threshold',
                    info='Higher: fewer targets, surer ones.', interactive=True,
                    elem_id='threshold',
                )  # fmt: skip
                self.view = gr.Radio(views, value=views[0], label='Show', elem_id='view')
            with gr.Column(scale=3, min_width=320, elem_id='results'):
                self.message = gr.HTML(_HINT, elem_id='message')
                self.picture = gr.Image(
                    label='Result', interactive=False, show_label=False, height=540,
                    buttons=['fullscreen', 'download'], placeholder=' ', elem_id='picture',
                )  # fmt: skip
                with gr.Column(visible=False, elem_id='details') as self.details:
                    self.enlarged = gr.Gallery(
                        label='Targets, enlarged', columns=4, height='auto', object_fit='contain',
                        buttons=['fullscreen'], interactive=False, elem_id='enlarged',
                    )  # fmt: skip
                    self.table = gr.Dataframe(
                        headers=list(HEADERS), label='Targets (px)', interactive=False,
                        max_height=320, buttons=[], elem_id='table',
                        datatype=['number', 'str', *['number'] * 6],
                    )  # fmt: skip
                    self.download = gr.DownloadButton(
                        'Download results (ZIP)', variant='primary', elem_id='download'
                    )

    def _connect(self) -> None:
        """Say what happens when something is touched."""
        shown = [self.message, self.picture, self.enlarged, self.table, self.details]
        everything = [self.analysis, self.threshold, self.view, *shown]
        archive = dict(
            fn=self.pack, inputs=[self.analysis, self.threshold], outputs=self.download,
            show_progress='hidden', concurrency_limit=1, api_visibility='private',
        )  # fmt: skip
        # One image at a time; of several that are dropped meanwhile the last one is next.
        network = dict(
            outputs=everything, show_progress_on=self.picture, trigger_mode='always_last',
            concurrency_limit=1, concurrency_id='network', api_visibility='private',
        )  # fmt: skip
        self.file.change(
            self.look, [self.file, self.model, self.threshold, self.view], **network
        ).then(**archive)
        self.model.input(self.change_model, [self.file, self.model], **network).then(**archive)
        self.examples.select(
            self.take_example, None, self.file, show_progress='hidden', api_visibility='private'
        )
        # While one value is drawn, of those that the slider passes the last one waits.
        quick = dict(
            inputs=[self.analysis, self.threshold, self.view], outputs=shown,
            show_progress='hidden', trigger_mode='always_last', concurrency_limit=2,
            api_visibility='private',
        )  # fmt: skip
        self.threshold.input(self.show, **quick).then(**archive)
        self.view.input(self.show, **quick)

    def take_example(self, event: gr.SelectData) -> str:
        """The file of the example that was chosen."""
        return self.samples[event.index]

    def change_model(
        self,
        file: str | None,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Another model: its own threshold and views, and its answer to the image."""
        inferencer = self.models[model]
        threshold = starting_threshold(inferencer)
        view = VIEWS[inferencer.task == 'segmentation'][0]
        return self.look(file, model, threshold, view, progress)

    def look(
        self,
        file: str | None,
        model: str,
        threshold: float,
        view: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Run the network over an image, or say in a sentence why not.

        Returns:
            Values of the analysis, the threshold, the views, and of what :meth:`show` gives.
        """
        choices = VIEWS[self.models[model].task == 'segmentation']
        settings = (threshold, gr.Radio(choices, value=view))
        if file is None:
            return None, *settings, *_nothing(_HINT)
        start = time.monotonic()
        try:
            progress(0.0, desc='Looking for targets')
            analysis = analyse(
                self.models[model],
                file,
                model,
                lambda part: progress(part, desc='Looking for targets'),
            )
        except ValueError as error:
            return None, *settings, *_nothing(_error(one_line(error)))
        except Exception as error:  # a defect, or no memory: the page goes on
            logging.getLogger(__name__).exception('analysis of %s', file)
            text = (
                f'{Path(file).name}: the program failed ({type(error).__name__}); the terminal '
                'that it runs in says more'
            )
            return None, *settings, *_nothing(_error(text))
        seconds = time.monotonic() - start
        return analysis, *settings, *self.show(analysis, threshold, view, seconds)

    def show(
        self, analysis: Analysis | None, threshold: float, view: str, seconds: float | None = None
    ) -> tuple:
        """What there is to see at a threshold.

        Returns:
            Values of the message, the picture, the enlarged targets, the table, and what holds
            the last two.
        """
        if analysis is None:
            return tuple(gr.skip() for _ in range(5))
        found = find(analysis, threshold)
        enlarged = [(_rgb(cell), text) for cell, text in enlarge_targets(analysis, found)]
        return (
            _summary(analysis, found, seconds),
            _rgb(draw(analysis, found, view)),
            gr.Gallery(enlarged, visible=bool(enlarged)),
            gr.Dataframe(table_rows(analysis, found), visible=bool(enlarged)),
            gr.Column(visible=True),
        )

    def pack(
        self, analysis: Analysis | None, threshold: float, request: gr.Request
    ) -> gr.DownloadButton:
        """The archive of what is shown; the one before is replaced."""
        if analysis is None:
            return gr.DownloadButton(value=None)
        stem = Path(analysis.name).stem
        path = self.folder / str(request.session_hash) / f'{stem}_results.zip'
        write_archive(path, analysis, find(analysis, threshold))
        return gr.DownloadButton(value=path)


def _rgb(picture):
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _error(text: str) -> str:
    return f'<div class="message error" role="alert">{html.escape(text)}</div>'


def _nothing(message: str) -> tuple:
    """What :meth:`Page.show` gives where there is no result."""
    return message, None, [], [], gr.Column(visible=False)


def _summary(analysis: Analysis, found: Found, seconds: float | None) -> str:
    """How many targets there are, in which image, and how long it took."""
    number = len(found.targets.scores)
    height, width = analysis.image.shape[:2]
    above = 'above' if analysis.segmentation else 'from'
    words = 'target' if number == 1 else 'targets'
    parts = [f'{html.escape(analysis.name)}, {width} × {height} px']
    if seconds is not None:
        parts.append(f'{seconds:.1f} s')
    if number > MOST_ENLARGED:
        parts.append(f'the best {MOST_ENLARGED} are enlarged')
    if number > MOST_ROWS:
        parts.append(f'the best {MOST_ROWS} are in the table, all are in the download')
    return (
        f'<div class="message result" role="status"><span><strong id="count">{number}</strong> '
        f'{words} {above} <span id="at">{found.threshold:.2f}</span></span>'
        f'<small>{" · ".join(parts)}</small></div>'
    )
