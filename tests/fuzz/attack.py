#!/usr/bin/env python
# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Read damaged files of every kind and count what happens; the table of docs/fuzzing.md.

``python tests/fuzz/attack.py --count 1000`` takes minutes; tests/fuzz/test_attack.py is the short
form of the suite. Seeds are fixed, so that file N of a kind is the same everywhere. Every file is
read in a process of its own kind, with limits of time and memory; files that are not answered in
one line are kept in --keep.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import kinds  # noqa: E402
from mutations import mutate  # noqa: E402

from smallobj_mm.utils.errors import SHOWN_IN_ONE_LINE  # noqa: E402

OUTCOMES = ('read', 'one line', 'without file', 'traceback', 'too slow', 'process died')
#: Seconds for one file, and bytes of memory beyond what the process has.
SECONDS, MEMORY = 60, 4 << 30
#: Longest message in characters, the folder's name included.
LONGEST = 1000


def subject(kind: kinds.Kind, number: int, seed: int = 0) -> bytes:
    """Damaged file ``number`` of a kind; always the same."""
    rng = np.random.default_rng([seed, number, *kind.name.encode()])
    sample = kind.samples[number % len(kind.samples)]
    return mutate(sample, rng, kind.is_text)


def attack(kind: kinds.Kind, data: bytes, folder: Path) -> tuple[str, str]:
    """Let a file be read: the outcome, and what was said."""
    path = kinds.write(folder, kind, data)
    try:
        kind.read(path)
    except SHOWN_IN_ONE_LINE as error:
        text = str(error)
        if '\n' in text or len(text) > LONGEST:
            return 'traceback', f'{type(error).__name__}: {text[:300]}'
        return ('one line' if path in text else 'without file'), text
    except MemoryError:
        return 'traceback', 'MemoryError'
    except Exception as error:
        return 'traceback', f'{type(error).__name__}: {str(error)[:300]}'
    return 'read', ''


def _work(name: str, start: int, stop: int, seed: int, results: Connection) -> None:
    kind = next(kind for kind in kinds.KINDS if kind.name == name)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    warnings.simplefilter('ignore')
    with tempfile.TemporaryDirectory() as folder:
        for number in range(start, stop):
            results.send(attack(kind, subject(kind, number, seed), Path(folder)))


def run(kind: kinds.Kind, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Outcome of each damaged file of a kind; a process that dies or hangs is replaced."""
    context = multiprocessing.get_context('fork')
    found: list[tuple[str, str]] = []
    while len(found) < count:
        receiver, sender = context.Pipe(duplex=False)
        arguments = (kind.name, len(found), count, seed, sender)
        process = context.Process(target=_work, args=arguments)
        process.start()
        sender.close()  # the other end is the process's alone: its death closes it
        try:
            while len(found) < count:
                if not receiver.poll(SECONDS):
                    process.kill()
                    found.append(('too slow', f'more than {SECONDS} s'))
                    break
                found.append(receiver.recv())
        except EOFError:
            process.join()
            found.append(('process died', f'exit code {process.exitcode}'))
        process.join()
        receiver.close()
    return found


def table(counts: dict[str, Counter]) -> str:
    """The counts as a table in Markdown."""
    lines = ['| kind | files | ' + ' | '.join(OUTCOMES) + ' |', '|---|' + '---:|' * 7]
    total: Counter = Counter()
    for name, count in counts.items():
        total += count
        numbers = ' | '.join(str(count[outcome]) for outcome in OUTCOMES)
        lines.append(f'| {name} | {sum(count.values())} | {numbers} |')
    numbers = ' | '.join(str(total[outcome]) for outcome in OUTCOMES)
    return '\n'.join([*lines, f'| together | {sum(total.values())} | {numbers} |'])


def main(argv: list[str] | None = None) -> int:
    """Attack; the number of files that were not answered in one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--count', type=int, default=1000, help='files of each kind')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--kinds', nargs='*', help='only these')
    parser.add_argument('--keep', type=Path, help='folder for files that were not answered')
    args = parser.parse_args(argv)
    counts, bad = {}, 0
    for kind in kinds.KINDS:
        if args.kinds and kind.name not in args.kinds:
            continue
        found = run(kind, args.count, args.seed)
        counts[kind.name] = Counter(outcome for outcome, _ in found)
        for number, (outcome, text) in enumerate(found):
            if outcome not in ('read', 'one line'):
                bad += 1
                print(f'{kind.name} {number}: {outcome}: {text}', file=sys.stderr)
                if args.keep:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    name = f'{kind.name.replace(" ", "_")}_{number}{kind.suffix}'
                    (args.keep / name).write_bytes(subject(kind, number, args.seed))
        print(f'{kind.name}: {dict(counts[kind.name])}', file=sys.stderr, flush=True)
    print(table(counts))
    return bad


if __name__ == '__main__':
    sys.exit(1 if main() else 0)
