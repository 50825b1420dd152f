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
object servers, three replicas and two proxies, one of them without the
filters, and deletes it afterwards. One client reads ranges of one object, in
ascending order, with a GET of several ranges from either proxy; and entries of
many objects as frames, TAR and multipart. The ways take turns, so that what
else the machine does falls on all of them. CPU is that of the proxy and the
object servers; what is read is in the page cache.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import sys
import time
import urllib.parse

from cloud.services import swift as swift_module

STATE = pathlib.Path('.cloud-swift-benchmark-several')
BASE_PORT = 22900
KIB = 1024
MIB = 1024 * KIB
OBJECT = 64 * MIB
OBJECTS = 256
ENTRIES = 256
TICKS = os.sysconf('SC_CLK_TCK')
FORMS = ('frames', 'tar', 'multipart')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=8,
                        help='for each line')
    parser.add_argument('--turns', type=int, default=4,
                        help='how often each way has its turn')
    options = parser.parse_args()
    found = swift_module.Swift(STATE, BASE_PORT, swift_module.Settings(
        proxies={'proxy': '', 'stock': ''}, stock=('stock',),
        object_server={'keep_cache_private': 'true',
                       'keep_cache_size': 2 ** 40}))
    found.destroy()
    try:
        found.up()
        url, token = found.login()
        client = Client(found, urllib.parse.urlsplit(url).path, token)
        client.fill()
        print(f'{"":34}{"stock":>9}{"filters":>9}{"ratio":>8}{"ms":>8}'
              f'{"ms":>8}{"ratio":>8}')
        for count, size in ((2, 64), (8, 64), (32, 64), (50, 64), (50, 4)):
            _line(f'GET of {count} ranges of {size} KiB', found, options, [
                client.several(proxy, count, size * KIB)
                for proxy in ('stock', 'proxy')])
        print(f'{"":34}{"frames":>9}{"other":>9}')
        for form in FORMS[1:]:
            _line(f'{ENTRIES} entries of 64 KiB: {form}', found, options, [
                client.entries(name) for name in (FORMS[0], form)])
    finally:
        found.down()
        found.destroy()


def _line(label, found, options, ways):
    """CPU and wall ms of a request, of two ways that take turns."""
    counts, used, spent = [0, 0], [0, 0], [0, 0]
    for way in ways:
        way()
    for turn in range(2 * options.turns):
        number = turn % 2
        before, begun = _cpu(found), time.monotonic()
        until = begun + options.seconds / options.turns / 2
        while time.monotonic() < until:
            ways[number]()
            counts[number] += 1
        used[number] += _cpu(found) - before
        spent[number] += time.monotonic() - begun
    cpu = [1000 * value / count for value, count in zip(used, counts)]
    wall = [1000 * value / count for value, count in zip(spent, counts)]
    print(f'{label:34}{cpu[0]:9.2f}{cpu[1]:9.2f}{cpu[0] / cpu[1]:8.2f}'
          f'{wall[0]:8.1f}{wall[1]:8.1f}{wall[0] / wall[1]:8.2f}', flush=True)


def _cpu(found):
    """CPU seconds of all servers so far."""
    total = 0
    for name in found.names():
        text = pathlib.Path(f'/proc/{found.pid(name)}/stat').read_text()
        fields = text.rpartition(')')[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Client:
    """One client, with a connection to each proxy.

    :param found: a :class:`~cloud.services.swift.Swift`
    :param path: of the account
    :param token: of its owner
    """

    def __init__(self, found, path, token):
        self._path = path
        self._token = token
        self._rng = random.Random(1)
        self._connections = {
            proxy: http.client.HTTPConnection('127.0.0.1', found.port(proxy))
            for proxy in found.settings.proxies}

    def _ask(self, proxy, method, target, body=None, **headers):
        """Status and length of an answer."""
        connection = self._connections[proxy]
        connection.request(method, f'{self._path}/{target}', body,
                           {'X-Auth-Token': self._token, **headers})
        response = connection.getresponse()
        return response.status, len(response.read())

    def fill(self):
        """Write the objects."""
        for target, size in [('train', 0), ('train/large', OBJECT), *(
                (f'train/{number}', MIB) for number in range(OBJECTS))]:
            for _ in range(20):
                status, _ = self._ask(
                    'stock', 'PUT', target, random.randbytes(size))
                if status in (201, 202):
                    break
                time.sleep(0.3)
            else:
                sys.exit(f'PUT {target}: {status}')

    def several(self, proxy, count, size):
        """A function that reads some ranges."""
        def read():
            starts = sorted(self._rng.sample(range(OBJECT // size), count))
            status, length = self._ask(
                proxy, 'GET', 'train/large', Range='bytes=' + ','.join(
                    f'{n * size}-{(n + 1) * size - 1}' for n in starts))
            if status != 206 or length < count * size:
                sys.exit(f'GET: {status}')
        return read

    def entries(self, form):
        """A function that reads a batch."""
        def read():
            body = ''.join(json.dumps({
                'object': f'{self._rng.randrange(OBJECTS)}',
                'ranges': [[first, first + 64 * KIB - 1]]}) + '\n'
                for first in (self._rng.randrange(MIB - 64 * KIB)
                              for _ in range(ENTRIES)))
            status, length = self._ask(
                'proxy', 'POST', f'train?batch-read=1&format={form}', body)
            if status != 200 or length < ENTRIES * 64 * KIB:
                sys.exit(f'batch: {status}')
        return read


if __name__ == '__main__':
    main()
