# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Read ranges of objects in several ways, side by side in one run.

Stock Swift and our filters, each with Swift's own API and with S3, and beside
them nginx and SeaweedFS, as far as they are installed. All are started for it
on loopback, and deleted afterwards. All servers and clients share this
machine; each server of Swift is one process. Each client is a process with one
connection, which checks what it reads.

Without options that name values of an axis, the matrix is a star: from 64K
items of many objects, hot, for 8 clients and with 3 replicas, along each axis.
With any, it is the product of what they name.

hot: what is read is in the page cache, and in the block cache of the proxy
that has one. cold: before each measurement, the files are put out of the page
cache (posix_fadvise) and the proxy with the block cache starts anew; each item
is read once.
"""

import argparse
import pathlib
import signal
import sys

from benchmarks.swift import matrix
from benchmarks.swift import report
from benchmarks.swift import ways

STATE = '.cloud-swift-benchmark'
BASE_PORT = 21600


def main(arguments=None):
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = _ways(options.only, options.batch)
    cells = _cells(options)
    print(f'{len(cells)} cells, {len(chosen)} ways to read, '
          f'{options.seconds:g} s each\n{report.UNITS}\n{report.MARKS}')
    runner = matrix.Matrix(
        pathlib.Path(f'{STATE}-{options.base_port}'), options.base_port,
        chosen, options.seconds, options.objects, options.max_age)
    samples = []
    for cell, found in runner.run(cells, options.rounds):
        if sys.stderr.isatty():
            print('\r\033[K', end='', file=sys.stderr, flush=True)
        print(f'\n{report.table(cell, found)}', flush=True)
        samples += found
        if options.output:
            report.save(options.output, _plain(options), samples)
    for name, reason in runner.missing.items():
        print(f'\nWithout {name}: {reason}')
    return 1 if any(sample.error and sample.way.server not in runner.missing
                    for sample in samples) else 0


def _options(arguments):
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.swift', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sizes', type=_list(ways.parse_size),
                        metavar='4K,64K,1M,8M', help='of items')
    parser.add_argument('--clients', type=_list(number), metavar='1,8,32')
    parser.add_argument('--layout', type=_list(_one_of('layout')),
                        metavar='one,many,slo',
                        help='one object, many, one of segments')
    parser.add_argument('--cache', type=_list(_one_of('cache')),
                        metavar='hot,cold')
    parser.add_argument('--replicas', type=_list(number), metavar='3,1')
    parser.add_argument('--only', type=_list(str), metavar='WORDS',
                        help='ways whose names have one of these words: '
                             + ', '.join(way.name for way in ways.ALL))
    parser.add_argument('--seconds', type=float, default=3,
                        help='for each measurement (3)')
    parser.add_argument('--objects', type=number, default=512,
                        help='of the layout many (512); with more than 650, '
                             'not all are in the block cache')
    parser.add_argument('--batch', type=number, default=32,
                        help='items of a batch (32)')
    parser.add_argument('--max-age', type=number, default=10,
                        help='seconds; option of block_cache (10)')
    parser.add_argument('--rounds', type=number, default=1,
                        help='of which the medians are shown (1)')
    parser.add_argument('--output', type=_file, metavar='FILE',
                        help='all samples, as .json or .csv')
    parser.add_argument('--base-port', type=number, default=BASE_PORT)
    return parser.parse_args(arguments)


def _list(convert):
    def parse(text):
        return [convert(part) for part in text.split(',')]
    parse.__name__ = 'list'
    return parse


def number(text):
    """A number from 1 on, as ``argparse`` wants it."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _one_of(axis):
    def parse(text):
        if text not in ways.AXES[axis]:
            raise ValueError(text)
        return text
    return parse


def _file(text):
    path = pathlib.Path(text)
    if path.suffix not in ('.json', '.csv'):
        raise argparse.ArgumentTypeError(f'{text}: neither .json nor .csv')
    return path


def _ways(words, batch):
    found = [way._replace(batch=batch) if way.batch else way
             for way in ways.ALL
             if not words or any(word in way.name for word in words)]
    if not found:
        sys.exit(f'there is no way with any of {", ".join(words)}')
    return found


def _cells(options):
    chosen = {'size': options.sizes, 'clients': options.clients,
              'layout': options.layout, 'cache': options.cache,
              'replicas': options.replicas}
    if not any(chosen.values()):
        return ways.star()
    return ways.product(chosen)


def _plain(options):
    return {name: str(value) if isinstance(value, pathlib.Path) else value
            for name, value in vars(options).items()}


if __name__ == '__main__':
    sys.exit(main())
