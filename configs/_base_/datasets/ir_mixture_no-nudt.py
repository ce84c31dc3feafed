# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Leave one set out: the mixture without NUDT, neither its images nor its targets; 200 images of
# NUDT stand for images from elsewhere.

_base_ = ['./ir_mixture.py']

train_dataloader = dict(
    dataset=dict(
        datasets=[_base_.nuaa, _base_.hituav, _base_.svanstrom, _base_.photographs],
        weights=[0.7, 0.1, 0.1, 0.1],
        pipeline=[
            *_base_.before_pasting,
            dict(_base_.pasting, sources=[_base_.nuaa]),
            _base_.drawing,
            *_base_.after_pasting,
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **dict(
            _base_.nuaa,
            split=f'{_base_.splits}/nuaa_sirst_holdout.txt',
            test_mode=True,
            pipeline=_base_.test_pipeline,
        ),
    )
)
test_dataloader = dict(
    dataset=dict(
        _base_.nudt,
        split=f'{_base_.splits}/nudt_sirst_unseen.txt',
        test_mode=True,
        pipeline=_base_.test_pipeline,
    )
)
