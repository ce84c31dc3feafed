#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Mean and spread of the last metrics of runs with several seeds, as a table.

Work-dirs are grouped by their names without the seed: random_seed0 and random_seed1 are 'random'.
"""

import argparse

from smallobj_mm.evaluation.run_summary import markdown_table, summarize_runs
from smallobj_mm.utils.errors import DEBUG_VARIABLE, errors_in_one_line


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f'{DEBUG_VARIABLE}=1 shows the traceback of every error.'
    )
    parser.add_argument('work_dirs', nargs='+', help='folders of runs of tools/train.py')
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=['smallobj/AP50', 'smallobj/AP', 'smallobj/AP_tiny', 'smallobj/AP_small'],
        help='names as in the log (default: %(default)s)',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    args = parse_args(argv)
    print(markdown_table(summarize_runs(args.work_dirs, args.metrics)))


if __name__ == '__main__':
    with errors_in_one_line():
        main()
