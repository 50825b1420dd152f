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

"""Read many ranges at once, in each of the ways there are.

``python -m benchmarks.swift.several`` starts a Swift on directories with three
object servers and three replicas, and deletes it afterwards. One client reads
ranges of one object, in ascending order, with a GET of several ranges, from a
proxy without the filters and from one with them; and entries of many objects
as frames, TAR and multipart. Two ways at a time take turns, so that what else
the machine does falls on both. CPU is that of all servers; what is read is in
the page cache.
"""

import argparse
import http.client
import json
import pathlib
import random
import shutil
import sys
import time

from benchmarks.swift import __main__ as command
from benchmarks.swift import layouts
from benchmarks.swift import swifts
from benchmarks.swift import usage
from benchmarks.swift import ways

STATE = '.cloud-swift-benchmark-several'
BASE_PORT = 22900
KIB = layouts.KIB
ENTRIES = 256
ENTRY = 64 * KIB
# (ranges, bytes of each)
GETS = ((2, 64 * KIB), (8, 64 * KIB), (32, 64 * KIB), (50, 64 * KIB),
        (50, 4 * KIB))
LARGE = layouts.layout('one', ENTRY, 1)
MANY = layouts.layout('many', ENTRY, 256)
STOCK, BATCH = (next(way for way in ways.ALL if way.name == name)
                for name in ('stock native', 'batch native'))
FORMS = ('frames', 'tar', 'multipart')


def main():
    options = _options()
    state = pathlib.Path(f'{STATE}-{options.base_port}')
    swift = swifts.Swift(state, options.base_port, 3, 10)
    try:
        swift.up()
        for layout in (LARGE, MANY):
            swift.write(layout)
        # The same path at another proxy.
        ours = BATCH._replace(batch=0)
        _head('stock', 'filters')
        for count, size in GETS:
            _line(f'GET of {count} ranges of {size // KIB} KiB', swift,
                  options, [Gets(swift, way, count, size)
                            for way in (STOCK, ours)])
        _head('form', FORMS[0])
        for form in FORMS[1:]:
            _line(f'{ENTRIES} entries of {ENTRY // KIB} KiB: {form}', swift,
                  options, [Batches(swift, BATCH, name)
                            for name in (form, FORMS[0])])
    finally:
        swift.down()
        shutil.rmtree(state, ignore_errors=True)


def _options():
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.swift.several', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=8,
                        help='for each line (8)')
    parser.add_argument('--turns', type=command.number, default=4,
                        help='how often each way has its turn (4)')
    parser.add_argument('--base-port', type=command.number, default=BASE_PORT)
    return parser.parse_args()


def _head(*names):
    """What is above the lines of two ways; ratios are first to second."""
    columns = ''.join(f'{name:>9}' for name in names) + f'{"ratio":>7}'
    width = len(columns)
    print(f'\n{"ms of a request":32}{"CPU":>{width}}{"time":>{width}}\n'
          f'{"":32}{columns}{columns}')


def _line(label, swift, options, reads):
    """CPU and time of a request, of two ways that take turns."""
    counts, used, spent = [0, 0], [0, 0], [0, 0]
    for read in reads:
        read()
    for turn in range(2 * options.turns):
        number = turn % 2
        before, begun = _cpu(swift, reads[number]), time.monotonic()
        now = begun
        while now <= begun + options.seconds / options.turns / 2:
            reads[number]()
            counts[number] += 1
            now = time.monotonic()
        used[number] += _cpu(swift, reads[number]) - before
        spent[number] += now - begun
    text = ''
    for seconds in (used, spent):
        first, second = (1000 * value / count
                         for value, count in zip(seconds, counts))
        text += f'{first:9.2f}{second:9.2f}{first / second:7.2f}'
    print(f'{label:32}{text}', flush=True)


def _cpu(swift, read):
    """CPU seconds so far of the servers of a way."""
    return sum(usage.seconds(swift.leaders(read.way)).values())


class _Reads:
    """One client with one connection.

    :param swift: a :class:`~benchmarks.swift.swifts.Swift`
    :param way: a :class:`~benchmarks.swift.ways.Way`
    :param layout: what is read
    """

    def __init__(self, swift, way, layout):
        self.way = way
        self._target = swift.target(layout, way)
        self._path, *_ = self._target.paths.values()
        self._random = random.Random(1)
        self._connection = http.client.HTTPConnection(
            '127.0.0.1', self._target.port)

    def _ask(self, expected, least, method, path, body=None, **headers):
        """Send a request, and see that the answer may be right.

        :param expected: status of the answer
        :param least: how many bytes it has at least
        """
        self._connection.request(
            method, path, body, {**self._target.headers, **headers})
        response = self._connection.getresponse()
        length = len(response.read())
        if response.status != expected or length < least:
            sys.exit(f'{method} {path}: {response.status}, {length} bytes')


class Gets(_Reads):
    """Each call reads other ranges of the large object.

    :param count: how many
    :param size: bytes of each
    """

    def __init__(self, swift, way, count, size):
        super().__init__(swift, way, LARGE)
        self._count, self._size = count, size

    def __call__(self):
        size = self._size
        starts = sorted(self._random.sample(
            range(LARGE.size // size), self._count))
        self._ask(206, self._count * size, 'GET', self._path, Range=(
            'bytes=' + ','.join(
                f'{n * size}-{(n + 1) * size - 1}' for n in starts)))


class Batches(_Reads):
    """Each call reads other entries of the many objects.

    :param form: of the answer
    """

    def __init__(self, swift, way, form):
        super().__init__(swift, way, MANY)
        self._path += f'&format={form}'

    def __call__(self):
        body = b''
        for _ in range(ENTRIES):
            first = self._random.randrange(MANY.size - ENTRY)
            body += json.dumps({
                'object': self._random.choice(MANY.names),
                'ranges': [[first, first + ENTRY - 1]]}).encode() + b'\n'
        self._ask(200, ENTRIES * ENTRY, 'POST', self._path, body)


if __name__ == '__main__':
    main()
