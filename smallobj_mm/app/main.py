# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A page in the browser: drop an image or a clip, see its small objects, take the results away.

It runs on this machine alone and fetches nothing. The models whose weights come with the package
are there from the start; --model adds others.
"""

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path

import smallobj_mm.weights
from smallobj_mm.inference import SmallObjectInferencer
from smallobj_mm.utils.errors import (
    DEBUG_VARIABLE,
    MissingPackageError,
    UserError,
)

from .folder import page_folder

#: Where the weights that come with the package lie, each under the name of its config.
WEIGHTS = Path(smallobj_mm.weights.__file__).parent
#: Largest file that is taken.
MOST_BYTES = '300mb'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.',
    )
    parser.add_argument(
        '--model', nargs=3, action='append', default=[], metavar=('NAME', 'CONFIG', 'WEIGHTS'),
        help='another model, called NAME on the page; may be given several times',
    )  # fmt: skip
    parser.add_argument(
        '--host', default='127.0.0.1',
        help='address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument('--port', type=int, default=7860, help='(default: %(default)s)')
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ... (default: cuda where it is, else cpu)'
    )
    args = parser.parse_args(argv)
    if not 0 < args.port < 65536:
        parser.error(f'--port {args.port}: expected a number from 1 to 65535')
    return args


def load_models(
    extra: list[tuple[str, str, str]], device: str | None
) -> dict[str, SmallObjectInferencer]:
    """The models of the page by their names: first those of the package, then the user's.

    Args:
        extra: Name, config and weights of each further model.
        device: Where they run.

    Raises:
        UserError: Two models have the same name, or there is none.
        FileNotFoundError: There is no such config or file of weights.
    """
    models: dict[str, SmallObjectInferencer] = {}
    shipped = [(file.stem, file.stem, None) for file in sorted(WEIGHTS.glob('*.safetensors'))]
    for name, config, weights in [*shipped, *extra]:
        if name in models:
            raise UserError(f'--model {name}: there is a model of this name; give another name')
        try:
            models[name] = SmallObjectInferencer(config, weights, device)
        except ImportError as error:
            if weights is not None:
                raise
            print(f'not on the page: {error}')
    if not models:
        raise UserError('no model for the page; give one with --model NAME CONFIG WEIGHTS')
    return models


def reach_without_proxy(host: str) -> None:
    """Except this machine from the proxy: gradio asks the page itself whether it is there."""
    names = ('NO_PROXY', 'no_proxy')
    others = [os.environ[name] for name in names if os.environ.get(name)]
    known = dict.fromkeys([*others, '127.0.0.1', 'localhost', host])
    for name in names:
        os.environ[name] = ','.join(known)


def main(argv: list[str] | None = None) -> None:
    """Serve the page until it is interrupted.

    Raises:
        MissingPackageError: Gradio is not installed.
        OSError: The address cannot be listened on.
    """
    args = parse_args(argv)
    # Read when gradio is imported.
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    os.environ['HF_HUB_OFFLINE'] = '1'
    reach_without_proxy(args.host)
    if importlib.util.find_spec('gradio') is None:
        raise MissingPackageError('gradio is not installed; pip install "smallobj_mm[demo]"')
    # So that what was uploaded is removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    models = load_models(args.model, args.device)
    # Here: gradio is optional, and reads its environment when it is imported.
    from .page import Page, style, theme

    with page_folder() as folder:
        # What is uploaded goes away with the page too.
        os.environ['GRADIO_TEMP_DIR'] = str(folder / 'uploads')
        blocks = Page(models, folder).blocks
        try:
            blocks.launch(
                server_name=args.host, server_port=args.port, share=False, quiet=True,
                ssr_mode=False, prevent_thread_lock=True, run_history=False, footer_links=[],
                max_file_size=MOST_BYTES, theme=theme(), css=style(),
            )  # fmt: skip
        except OSError as error:
            # What gradio advises after the first sentence is about its own options.
            reason = ' '.join(str(error).split()).partition('. ')[0]
            raise UserError(
                f'{args.host}:{args.port} cannot be listened on ({reason}); give another --port '
                'or --host'
            ) from None
        print(f'the page is at {blocks.local_url} (Ctrl+C ends it)', flush=True)
        blocks.block_thread()
