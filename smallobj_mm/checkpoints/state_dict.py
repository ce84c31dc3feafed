# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of tensors in checkpoints, and the one rule of what fits a model: all of it."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from smallobj_mm.utils.errors import UserError

#: Prefix of weights inside a wrapper: for several processes, for test-time augmentation.
_WRAPPER = 'module.'
#: Older files have no counters of batches, and they are without effect on the network.
COUNTER = 'num_batches_tracked'
#: Parts of a name that mark the slow copy of a network (MoCo's key encoder, a teacher, an EMA):
#: where both copies are there, the one that was trained is meant.
_SLOW_COPIES = ('encoder_k', 'momentum', 'target', 'teacher', 'ema')


def state_dict_of(checkpoint: Mapping) -> dict[str, Tensor]:
    """The tensors of a checkpoint, plain or under ``state_dict``, without prefixes of wrappers."""
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        return {}
    return {_unwrapped(str(k)): v for k, v in state.items() if isinstance(v, Tensor)}


def _unwrapped(name: str) -> str:
    """The name inside all wrappers; there may be several, one in the other."""
    while name.startswith(_WRAPPER):
        name = name.removeprefix(_WRAPPER)
    return name


def fitting_state(model: nn.Module, checkpoint: Mapping, source: str) -> dict[str, Tensor]:
    """The weights of a checkpoint for a model, every one of them, in the model's precision.

    Args:
        model: The model, or wrappers that have it as their ``module``; not changed.
        checkpoint: What the file holds.
        source: Name of the file, for messages.

    Returns:
        The state dict under the model's own names. Counters of batches may be missing.

    Raises:
        UserError: A weight is missing, has another shape, or is none of the model.
    """
    state = state_dict_of(checkpoint)
    if not state:
        kind = type(checkpoint.get('state_dict', checkpoint)).__name__
        raise UserError(
            f'{source}: holds no weights (state_dict: {kind} without tensors), expected those of '
            'the config; give the checkpoint that was trained with this config'
        )
    own = {_unwrapped(name): (name, t) for name, t in model.state_dict().items()}
    missing = [key for key in own if key not in state and not key.endswith(COUNTER)]
    foreign = [key for key in state if key not in own]
    for keys, what in ((missing, 'missing'), (foreign, 'unknown to the model')):
        if keys:
            raise UserError(
                f'{source}: {len(keys)} weights are {what} (first: {keys[0]}), expected the '
                f'{len(own)} of the config; give the checkpoint that was trained with this config'
            )
    shapes = [key for key in own if key in state and own[key][1].shape != state[key].shape]
    if shapes:
        key = shapes[0]
        raise UserError(
            f'{source}: {len(shapes)} weights have another shape (first: {key} '
            f'{tuple(state[key].shape)}, expected {tuple(own[key][1].shape)}); give the '
            'checkpoint that was trained with this config (the same classes and widths)'
        )
    return {own[key][0]: tensor.to(own[key][1].dtype) for key, tensor in state.items()}


def load_weights(model: nn.Module, checkpoint: Mapping, source: str) -> None:
    """Put the weights of a checkpoint into a model, all of them; see :func:`fitting_state`.

    Raises:
        UserError: A weight is missing, has another shape, or is none of the model.
    """
    model.load_state_dict(fitting_state(model, checkpoint, source), strict=False)


def flatten_tensors(checkpoint: Mapping, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a nested checkpoint; the names of nested dicts are joined by dots."""
    for key, value in checkpoint.items():
        if isinstance(value, Tensor):
            yield f'{prefix}{key}', value
        elif isinstance(value, Mapping):
            yield from flatten_tensors(value, f'{prefix}{key}.')


def find_prefix(names: set[str], expected: list[str]) -> str:
    """The prefix under which a checkpoint holds most of the expected names.

    Args:
        names: Names in the checkpoint, see :func:`flatten_tensors`.
        expected: Names in the module.

    Returns:
        The prefix, ending in a dot unless empty.
    """
    prefixes = {
        name.removesuffix(end)
        for end in expected
        for name in names
        if name == end or name.endswith(f'.{end}')
    } or {''}

    def rank(prefix: str) -> tuple[int, bool, int]:
        slow = any(part in prefix for part in _SLOW_COPIES)
        return sum(prefix + name in names for name in expected), not slow, -len(prefix)

    return max(sorted(prefixes), key=rank)
