# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The page: what is where on it, and what happens when something is touched."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np

from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.utils.errors import UserError, one_line

from . import messages
from .analysis import LEAST, MOST, Analysis, find, starting_threshold
from .clips import Analyzed, Clip, analyze_file, at_frame, write_clip_archive
from .downloads import HEADERS, table_rows, write_archive
from .drawing import VIEWS, draw, enlarge_targets
from .examples import write_examples
from .folder import clear_old_downloads, download_name, session_folder

_STYLE = Path(__file__).with_name('style.css')
#: Seconds after which uploads, and downloads of visitors, may be removed.
_KEPT = 3600
#: What stands for no second model, and for a threshold of one's own.
_NONE, _OWN = 'no other', 'own threshold'


def theme() -> gr.themes.Base:
    """Fonts that the system has, so that nothing is fetched."""
    return gr.themes.Base(
        primary_hue='cyan',
        neutral_hue='slate',
        radius_size='sm',
        font=['system-ui', 'sans-serif'],
        font_mono=['ui-monospace', 'monospace'],
    ).set(
        body_background_fill='*neutral_50',
        block_background_fill='white',
        body_text_color_subdued='*neutral_500',
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
        self.examples = write_examples(self.folder / 'examples')
        with gr.Blocks(
            title='Small objects',
            fill_width=True,
            analytics_enabled=False,
            delete_cache=(_KEPT, _KEPT),
        ) as self.blocks:
            self._lay_out()
            self._connect()

    def _lay_out(self) -> None:
        """Put everything in its place: choices on the left, results on the right."""
        first, inferencer = next(iter(self.models.items()))
        views = VIEWS[inferencer.task == 'segmentation']
        # Without a time to live, which gradio counts from the analysis, not from its last use; of
        # a page that is closed gradio forgets them an hour later.
        self.analysis = gr.State(None)
        self.other = gr.State(None)
        gr.HTML(
            '<h1>Small objects</h1><p>Find what is only a few pixels large. The image stays on '
            'the machine that this page runs on.</p>',
            elem_id='title',
        )
        with gr.Row(elem_id='body'):
            with gr.Column(scale=1, min_width=300, elem_id='choices'):
                self.file = gr.File(label='Image or video', height=150, elem_id='file')
                gr.HTML('Examples', elem_classes='heading')
                self.gallery = gr.Gallery(
                    [(example.picture, example.name) for example in self.examples],
                    show_label=False, columns=len(self.examples), height='auto',
                    allow_preview=False, object_fit='cover', buttons=[], interactive=False,
                    container=False, elem_id='examples',
                )  # fmt: skip
                gr.HTML(messages.credits_of(self.examples), elem_id='credits')
                self.model = gr.Dropdown(
                    list(self.models), value=first, label='Model', filterable=False,
                    interactive=True, elem_id='model',
                )  # fmt: skip
                self.point = gr.Radio(
                    **_points(inferencer), label='Operating point', elem_id='point'
                )
                self.threshold = gr.Slider(
                    LEAST, MOST, starting_threshold(inferencer), step=0.01, label='Threshold',
                    info='Higher: fewer and surer.', interactive=True,
                    elem_id='threshold',
                )  # fmt: skip
                self.model_2 = gr.Dropdown(
                    [_NONE, *self.models], value=_NONE, label='Beside it', filterable=False,
                    interactive=True, visible=len(self.models) > 1, elem_id='model_2',
                )  # fmt: skip
                self.threshold_2 = gr.Slider(
                    LEAST, MOST, 0.5, step=0.01, label='Threshold of the model beside',
                    interactive=True, visible=False, elem_id='threshold_2',
                )  # fmt: skip
                self.view = gr.Radio(views, value=views[0], label='Show', elem_id='view')
            with gr.Column(scale=3, min_width=320, elem_id='results'):
                self.message = gr.HTML(messages.HINT, elem_id='message')
                self.frame = gr.Slider(
                    0, 1, 0, step=1, label='Frame', visible=False, interactive=True,
                    elem_id='frame',
                )  # fmt: skip
                with gr.Row(elem_id='pictures'):
                    picture = dict(
                        interactive=False, height=540, buttons=['fullscreen', 'download'],
                        format='png', min_width=240,
                    )  # fmt: skip
                    self.picture = gr.Image(
                        **picture, label='Result', show_label=False, elem_id='picture'
                    )
                    self.picture_2 = gr.Image(
                        **picture, label='Model beside', visible=False, elem_id='picture_2'
                    )
                with gr.Column(visible=False, elem_id='details') as self.details:
                    gr.HTML('Targets, enlarged', elem_classes='heading')
                    self.enlarged = gr.Gallery(
                        show_label=False, columns=4, height='auto', object_fit='contain',
                        buttons=['fullscreen'], interactive=False, container=False,
                        format='png', elem_id='enlarged',
                    )  # fmt: skip
                    self.table = gr.Dataframe(
                        headers=list(HEADERS), label='Table (px)', interactive=False,
                        max_height=320, buttons=[], elem_id='table',
                        datatype=['number', 'str', *['number'] * 6],
                        column_widths=['8%', '17%', '12%', '12%', '10%', '10%', '13%', '18%'],
                    )  # fmt: skip
                    self.download = gr.DownloadButton(
                        'Download', interactive=False, variant='primary', elem_id='download'
                    )

    def _connect(self) -> None:
        """Say what happens when something is touched."""
        private = dict(api_visibility='private')
        quiet = dict(private, show_progress='hidden')
        shown = [
            self.message, self.picture, self.picture_2, self.enlarged, self.table, self.details,
        ]  # fmt: skip
        network = dict(
            private, fn=self.look,
            inputs=[self.file, self.model, self.model_2, self.analysis, self.other],
            outputs=[
                self.analysis, self.other, self.message, self.picture, self.picture_2,
                self.details, self.frame,
            ],
            show_progress_on=self.picture, concurrency_limit=1, concurrency_id='network',
        )  # fmt: skip
        drawing = dict(
            quiet, fn=self.show,
            inputs=[
                self.analysis, self.other, self.threshold, self.threshold_2, self.view, self.frame,
            ],
            outputs=shown,
        )  # fmt: skip
        # What changes the archive holds the download back until it is packed again; what does
        # not, such as another frame, leaves it alone.
        anew = dict(drawing, fn=self.show_anew, outputs=[*shown, self.download])
        packing = dict(
            quiet, fn=self.pack, inputs=[self.analysis, self.threshold], outputs=self.download,
        )  # fmt: skip
        # Of what is chosen, or of the values that the slider passes, while something is under
        # way, the last one comes next.
        last = dict(trigger_mode='always_last')
        settings = [self.threshold, self.view, self.point]
        self.gallery.select(
            self.take_example, self.model, [self.file, self.model, *settings], **quiet
        )
        self.file.change(self.announce, self.file, self.message, **quiet)
        self.file.change(**network, **last).then(**anew).then(**packing)
        for model in (self.model, self.model_2):
            model.input(self.announce, self.file, self.message, **quiet)
        chosen = self.model.input(self.settings, self.model, settings, **quiet, **last)
        chosen.then(**network).then(**anew).then(**packing)
        self.model_2.input(
            self.settings_beside, self.model_2, self.threshold_2, **quiet, **last
        ).then(**network).then(**drawing)
        self.point.input(
            self.take_point, [self.model, self.point], self.threshold, **quiet, **last
        ).then(**anew).then(**packing)
        # Drawn twice: gradio loses a value that comes between the first drawing's arrival and its
        # being marked as complete.
        self.threshold.input(lambda: _OWN, None, self.point, **quiet)
        self.threshold.input(**anew, **last).then(**anew).then(**packing)
        for chosen in (self.threshold_2, self.frame, self.view):
            chosen.input(**drawing, **last).then(**drawing)

    def take_example(self, model: str | None, event: gr.SelectData) -> tuple:
        """The file of the example that was chosen, and the model for it with its settings."""
        example = self.examples[event.index]
        fitting = example.model if example.model in self.models else model
        return str(example.file), fitting, *self.settings(fitting)

    def announce(self, file: str | None) -> str:
        """What is under way."""
        if file is None:
            return messages.HINT
        return messages.looking(Path(file).name)

    def settings(self, model: str | None) -> tuple:
        """The threshold, the views and the operating points of a model."""
        if model not in self.models:
            return gr.skip(), gr.skip(), gr.skip()
        inferencer = self.models[model]
        views = VIEWS[inferencer.task == 'segmentation']
        return (
            starting_threshold(inferencer),
            gr.Radio(views, value=views[0]),
            gr.Radio(**_points(inferencer)),
        )

    def settings_beside(self, model: str | None) -> gr.Slider:
        """The threshold of the model beside, if there is one."""
        if model not in self.models:
            return gr.Slider(visible=False)
        return gr.Slider(value=starting_threshold(self.models[model]), visible=True)

    def take_point(self, model: str | None, point: str | None) -> float | dict:
        """The threshold of an operating point."""
        inferencer = None if model is None else self.models.get(model)
        points = {} if inferencer is None else inferencer.operating_points
        if point not in points:
            return gr.skip()
        return min(max(points[point], LEAST), MOST)

    def look(
        self,
        file: str | None,
        model: str | None,
        beside: str | None = None,
        before: Analyzed | None = None,
        before_2: Analyzed | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (how gradio finds it)
    ) -> tuple:
        """Run one or two networks over a file, or say in a sentence why not.

        Of the two analyses before, those of the file and one of the models are taken again.

        Returns:
            Values of the two analyses, the message, the two pictures, the column of details and
            the slider of frames.
        """
        nothing = (None, gr.Image(None, visible=False), gr.Column(visible=False))
        if file is None:
            return None, None, messages.HINT, *nothing, gr.Slider(visible=False)
        names = [name for name in (model, beside) if name in self.models and name is not None]
        words = 'Looking for targets'
        kept = {one.model: one for one in (before, before_2) if one and one.file == file}
        try:
            if model not in self.models:
                raise UserError(f'no model is chosen; choose one of {", ".join(self.models)}')
            progress(0.0, desc=words)
            for number, name in enumerate(names):

                def report(part: float, number: int = number) -> None:
                    progress((number + part) / len(names), desc=words)

                if name not in kept:
                    kept[name] = analyze_file(self.models[name], file, name, report)
        except ValueError as error:
            text = one_line(error)
        except FileNotFoundError:  # see delete_cache
            text = f'{Path(file).name}: the file was removed after an hour; drop it again'
        except Exception as error:  # a defect, or no memory: the page goes on
            logging.getLogger(__name__).exception('analysis of %s', file)
            text = (
                f'{Path(file).name}: the program failed ({type(error).__name__}); the terminal '
                'that it runs in says more'
            )
        else:
            analyzed = kept[names[0]]
            analyzed_2 = kept[names[1]] if len(names) > 1 else None
            skipped = (gr.skip(), gr.skip(), gr.skip(), gr.skip())
            slider = gr.skip() if analyzed is before else _frame_slider(analyzed)
            return analyzed, analyzed_2, *skipped, slider
        return None, None, messages.failure(text), *nothing, gr.Slider(visible=False)

    def show(
        self,
        analyzed: Analyzed | None,
        analyzed_2: Analyzed | None,
        threshold: float | None,
        threshold_2: float | None,
        view: str | None,
        frame: float | None,
    ) -> tuple:
        """What there is to see at a threshold.

        Returns:
            Values of the message, the two pictures, the enlarged targets, the table and the
            column that holds these two.
        """
        if analyzed is None:
            return tuple(gr.skip() for _ in range(6))
        analysis = at_frame(analyzed, frame)
        detected = find(analysis, self._usable(threshold, analysis))
        message = messages.summary(analyzed, analysis, detected)
        second = gr.Image(None, visible=False)
        if analyzed_2 is not None:
            analysis_2 = at_frame(analyzed_2, frame)
            detected_2 = find(analysis_2, self._usable(threshold_2, analysis_2))
            message += messages.summary(analyzed_2, analysis_2, detected_2, second=True)
            picture = _rgb(draw(analysis_2, detected_2, _possible(view, analysis_2)))
            second = gr.Image(picture, visible=True, label=analyzed_2.model, show_label=True)
        enlarged = [(_rgb(cell), text) for cell, text in enlarge_targets(analysis, detected)]
        return (
            message,
            gr.Image(
                _rgb(draw(analysis, detected, _possible(view, analysis))),
                label=analyzed.model, show_label=analyzed_2 is not None,
            ),
            second,
            gr.Gallery(enlarged, visible=bool(enlarged), selected_index=None),
            gr.Dataframe(table_rows(analysis, detected), visible=bool(enlarged)),
            gr.Column(visible=True),
        )  # fmt: skip

    def show_anew(self, analyzed: Analyzed | None, *settings: Any) -> tuple:
        """As :meth:`show`, and the download, which waits for :meth:`pack`."""
        button = gr.skip() if analyzed is None else gr.DownloadButton(interactive=False)
        return *self.show(analyzed, *settings), button

    def pack(
        self, analyzed: Analyzed | None, threshold: float | None, request: gr.Request
    ) -> gr.DownloadButton:
        """The archive of what is shown; the one before is replaced."""
        if analyzed is None:
            return gr.DownloadButton(value=None, interactive=False)
        clear_old_downloads(self.folder, _KEPT)
        folder = session_folder(self.folder, request.session_hash)
        shutil.rmtree(folder, ignore_errors=True)
        path = folder / download_name(analyzed.name)
        threshold = self._usable(threshold, analyzed)
        if isinstance(analyzed, Clip):
            write_clip_archive(path, analyzed, threshold)
        else:
            write_archive(path, analyzed, find(analyzed, threshold))
        label = f'Download results at {threshold:.2f} (ZIP)'
        return gr.DownloadButton(label, value=path, interactive=True)

    def _usable(self, threshold: float | None, analyzed: Analyzed) -> float:
        """The threshold, or the model's own where a client sends none."""
        if isinstance(threshold, (int, float)) and LEAST <= threshold <= MOST:
            return float(threshold)
        return starting_threshold(self.models[analyzed.model])


def _points(inferencer: SmallObjectInferencer) -> dict[str, Any]:
    """The choice of operating points of a model; not to be seen where it has none."""
    points = list(inferencer.operating_points)
    value = 'balanced' if 'balanced' in points else _OWN
    return dict(choices=[*points, _OWN], value=value, visible=bool(points))


def _frame_slider(analyzed: Analyzed) -> gr.Slider:
    """The slider of a clip's frames; not to be seen with an image."""
    number = len(analyzed.frames) if isinstance(analyzed, Clip) else 1
    return gr.Slider(value=0, maximum=max(number - 1, 1), visible=number > 1)


def _possible(view: str | None, analysis: Analysis) -> str:
    """The view, or the first one that a task has: while the model changes, or beside another."""
    views = VIEWS[analysis.segmentation]
    return view if view in views else views[0]


def _rgb(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
