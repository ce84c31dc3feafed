# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
# Leave one set out: the mixture without NUAA, neither its images nor its targets; NUAA's test
# images stand for images from elsewhere.

_base_ = ['./ir_mixture.py']

train_dataloader = dict(
    dataset=dict(
        datasets=[_base_.nudt, _base_.hituav, _base_.svanstrom, _base_.photographs],
        weights=[0.7, 0.1, 0.1, 0.1],
        pipeline=[
            *_base_.before_pasting,
            dict(_base_.pasting, sources=[_base_.nudt]),
            _base_.drawing,
            *_base_.after_pasting,
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **dict(
            _base_.nudt,
            split=f'{_base_.splits}/nudt_sirst_holdout.txt',
            test_mode=True,
            pipeline=_base_.test_pipeline,
        ),
    )
)
