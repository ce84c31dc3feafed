# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Running exported files: one interface for ONNX Runtime, OpenVINO and TorchScript."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smallobj_mm.utils.errors import MissingPackageError, UserError

from .checksum import verify
from .metadata import KEY, ExportInfo

#: Name of TorchScript's extra file with the description.
EXTRA_FILE = f'{KEY}.json'
#: Types that OpenVINO computes in.
PRECISIONS = ('f32', 'bf16')
#: Errors of ONNX Runtime that are about the file; others (no memory, a broken CUDA) are not.
_ORT = ('InvalidProtobuf', 'InvalidGraph', 'NotImplemented', 'Fail', 'RuntimeException')


def require(package: str, what: str) -> ModuleType:
    """Import a package of the extra ``deploy``.

    Args:
        package: Name of the module.
        what: What needs it, for the message.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingPackageError(
            f'{what}: needs the package {package.partition(".")[0]}, which is not installed; run '
            'pip install -e ".[deploy]"'
        ) from None


class Backend:
    """An exported file that is ready to run.

    Args:
        path: The file.
        info: What it says about itself.
        device: Where it runs.

    Attributes:
        name: 'onnxruntime', 'openvino' or 'torchscript'.
        path: The file.
        info: What it says about itself.
        device: Where it runs.
    """

    name = ''

    def __init__(self, path: Path, info: ExportInfo, device: torch.device) -> None:
        self.path = path
        self.info = info
        self.device = device

    def __call__(self, images: Tensor | np.ndarray) -> tuple[Tensor, ...]:
        """Run the network.

        Args:
            images: ``(N, 3, H, W)``. Float as the model's data preprocessor gives it, the sides
                multiples of ``info.size_divisor``; with ``info.preprocess`` uint8, BGR, any size.

        Returns:
            The raw maps of ``model(images, mode='tensor')``, flat; with ``info.postprocess`` the
            outputs that ``info.outputs`` names. On the CPU, or on the device of TorchScript.

        Raises:
            UserError: The shape or the type is another one.
        """
        images = torch.as_tensor(images)
        self._check(images)
        images = images if self.info.preprocess else images.float()
        with torch.inference_mode():
            return tuple(self._run(images))

    def _check(self, images: Tensor) -> None:
        divisor = 1 if self.info.preprocess else self.info.size_divisor
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3 or 0 in shape:
            raise UserError(f'{self.path}: images have the shape {shape}, expected (N, 3, H, W)')
        if shape[2] % divisor or shape[3] % divisor:
            raise UserError(
                f'{self.path}: images are {shape[2]} x {shape[3]} px, expected multiples of '
                f'{divisor}; pad them as the data preprocessor does, or export with '
                '--with-preprocess'
            )
        if self.info.preprocess != (images.dtype == torch.uint8):
            expected = 'uint8 (BGR)' if self.info.preprocess else 'float, normalized'
            raise UserError(f'{self.path}: images are {images.dtype}, expected {expected}')

    def _run(self, images: Tensor) -> Any:
        raise NotImplementedError


class OnnxRuntimeBackend(Backend):
    """An .onnx file in ONNX Runtime, on the CPU or on CUDA.

    Args:
        path: The file.
        device: 'cpu' or 'cuda'.
        threads: On the CPU; None for ONNX Runtime's choice.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        UserError: It cannot use the device.
        UserError: It does not run here, or is none of this package's.
    """

    name = 'onnxruntime'

    def __init__(self, path: Path, device: torch.device, threads: int | None) -> None:
        ort = require('onnxruntime', str(path))
        providers: list[Any] = ['CPUExecutionProvider']
        if device.type != 'cpu':
            if device.type != 'cuda' or not cuda_runs(path):
                raise UserError(
                    f'device {device}: ONNX Runtime has {", ".join(ort.get_available_providers())} '
                    'here; take cpu, or install onnxruntime-gpu'
                )
            providers.insert(0, ('CUDAExecutionProvider', {'device_id': device.index or 0}))
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        # Threads that wait actively take the cores from whatever comes between two calls.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = ort.InferenceSession(str(path), options, providers=providers)
        except tuple(getattr(ort.capi.onnxruntime_pybind11_state, name) for name in _ORT) as error:
            raise _not_runnable(path, f'onnxruntime {ort.__version__}', error) from None
        meta = self._session.get_modelmeta().custom_metadata_map
        super().__init__(path, ExportInfo.from_json(meta.get(KEY), str(path)), device)
        self._input = self._session.get_inputs()[0].name

    def _run(self, images: Tensor) -> list[Tensor]:
        outputs = self._session.run(None, {self._input: images.contiguous().cpu().numpy()})
        return [torch.from_numpy(output) for output in outputs]


class OpenVinoBackend(Backend):
    """An .xml file, with its .bin beside it, in OpenVINO on the CPU.

    Args:
        path: The file.
        device: 'cpu'.
        threads: None for OpenVINO's choice.
        precision: 'f32', or 'bf16', which is faster on processors that compute in it and gives
            two to three digits.

    Raises:
        MissingPackageError: openvino is not installed.
        UserError: The device is another one.
        UserError: It does not run here, or is none of this package's.
    """

    name = 'openvino'

    def __init__(
        self, path: Path, device: torch.device, threads: int | None, precision: str
    ) -> None:
        if device.type != 'cpu':
            raise UserError(f'device {device}: OpenVINO runs on cpu here; take an .onnx file')
        openvino = require('openvino', str(path))
        core = openvino.Core()
        settings = {
            'INFERENCE_PRECISION_HINT': precision,
            'PERFORMANCE_HINT': 'LATENCY',
            # A thread that is held on a core waits for whoever else runs there.
            'ENABLE_CPU_PINNING': False,
        }
        if threads is not None:
            settings['INFERENCE_NUM_THREADS'] = threads
        try:
            model = core.read_model(path)
            compiled = core.compile_model(model, 'CPU', settings)
        except RuntimeError as error:
            raise _not_runnable(path, f'openvino {openvino.__version__}', error) from None
        text = model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None
        super().__init__(path, ExportInfo.from_json(text, str(path)), device)
        self._request = compiled.create_infer_request()

    def _run(self, images: Tensor) -> list[Tensor]:
        outputs = self._request.infer({0: images.contiguous().numpy()}, share_inputs=True)
        # Copies: the request writes the next outputs into the same memory.
        return [torch.from_numpy(np.array(output)) for output in outputs.values()]


class TorchScriptBackend(Backend):
    """A .torchscript file in PyTorch.

    Such a file holds a program, which can do more than compute: load files from people you trust.

    Args:
        path: The file.
        device: Any of PyTorch.
        threads: On the CPU, during each call; None for PyTorch's setting.

    Raises:
        UserError: There is no such device.
        UserError: It does not run here, or is none of this package's.
    """

    name = 'torchscript'

    def __init__(self, path: Path, device: torch.device, threads: int | None) -> None:
        extra: dict[str, Any] = {EXTRA_FILE: ''}  # the file's is bytes
        try:
            torch.zeros(1, device=device)
        except (AssertionError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f'device {device}: not usable here ({reason}); try cpu') from None
        try:
            self._module = torch.jit.load(str(path), map_location=device, _extra_files=extra)
        except RuntimeError as error:
            raise _not_runnable(path, f'torch {torch.__version__}', error) from None
        text = extra[EXTRA_FILE]
        text = text.decode('utf-8') if isinstance(text, bytes) else text
        super().__init__(path, ExportInfo.from_json(text or None, str(path)), device)
        self._threads = threads

    def _run(self, images: Tensor) -> Any:
        before = torch.get_num_threads()
        try:
            if self._threads is not None:
                torch.set_num_threads(self._threads)
            return self._module(images.to(self.device))
        finally:
            if self._threads is not None:
                torch.set_num_threads(before)


def file_format(path: str | os.PathLike) -> str | None:
    """'onnx', 'openvino' or 'torchscript' by the ending of a name; None for anything else."""
    name = os.fspath(path).lower()
    endings = {'.onnx': 'onnx', '.xml': 'openvino', '.torchscript': 'torchscript'}
    return next((kind for ending, kind in endings.items() if name.endswith(ending)), None)


def cuda_runs(path: str | os.PathLike) -> bool:
    """Whether what runs a file of weights here may use CUDA, if the machine has it.

    Raises:
        MissingPackageError: The file is .onnx, and onnxruntime is not installed.
    """
    kind = file_format(path)
    if kind == 'onnx':
        ort = require('onnxruntime', os.fspath(path))
        return 'CUDAExecutionProvider' in ort.get_available_providers()
    return kind != 'openvino'


def load_backend(
    path: str | os.PathLike,
    device: str | torch.device = 'cpu',
    threads: int | None = None,
    precision: str = 'f32',
) -> Backend:
    """Load an exported file.

    ``.onnx`` and ``.xml`` files are data. A ``.torchscript`` file is a program: load it only if you
    trust where it is from.

    Args:
        path: .onnx, .xml (OpenVINO, with the .bin beside it) or .torchscript.
        device: 'cpu'; ONNX Runtime and TorchScript also take 'cuda'.
        threads: On the CPU; None leaves it to the backend.
        precision: Of OpenVINO, 'f32' or 'bf16'.

    Returns:
        What runs it.

    Raises:
        FileNotFoundError: There is no such file.
        MissingPackageError: The package that runs it is not installed.
        UserError: There is no such device, or the package does not support it.
        UserError: The file is of another kind, damaged, or was not written by this package, or an
            option is unknown.
    """
    path = Path(path).expanduser()
    kind = file_format(path)
    if kind is None:
        raise UserError(
            f'{path}: unknown ending, expected .onnx, .xml (OpenVINO) or .torchscript; '
            'tools/deployment/export.py writes them'
        )
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; check the path')
    if threads is not None and threads < 1:
        raise UserError(f'threads is {threads}, expected 1 or more')
    if precision not in PRECISIONS or (precision != 'f32' and kind != 'openvino'):
        raise UserError(
            f'precision is {precision!r}, expected f32, or bf16 for an OpenVINO file (.xml)'
        )
    try:
        device = torch.device(device)
    except RuntimeError:
        raise UserError(f'device {device}: unknown, expected cpu or cuda') from None
    if kind == 'openvino' and not path.with_suffix('.bin').is_file():
        raise FileNotFoundError(
            f'{path.with_suffix(".bin")}: no such file, expected the weights that belong to '
            f'{path.name}; copy both files'
        )
    verify(path)
    if kind == 'onnx':
        return OnnxRuntimeBackend(path, device, threads)
    if kind == 'openvino':
        return OpenVinoBackend(path, device, threads, precision)
    return TorchScriptBackend(path, device, threads)


def _not_runnable(path: Path, program: str, error: Exception) -> UserError:
    """What to say of a file that is as it was exported, and that a program does not take."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return UserError(
        f'{path}: {program} cannot run it ({reason}); export it again beside this version, or take '
        'another format'
    )
