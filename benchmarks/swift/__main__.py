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

"""Read small ranges with GETs and with batches, side by side.

``python -m benchmarks.swift`` starts a Swift on directories with three object
servers, three replicas and two proxies, one of them without the filter, and
deletes it afterwards. All servers and clients share this machine, each server
is one process, and what is read is in the page cache. Each line is measured
for some seconds; the ratios are to the GETs of the same objects in the same
run.
"""

import argparse
import http.client
import multiprocessing
import os
import pathlib
import random
import sys
import time
import urllib.parse

from ai_factory_plugins.dataset import client
from cloud.services import swift as swift_module

STATE = pathlib.Path('.cloud-swift-benchmark')
BASE_PORT = 21600
MIB = 1024 * 1024
ITEM = 64 * 1024
TICKS = os.sysconf('SC_CLK_TCK')
# Of the object servers: what is read stays in the page cache, as it does for
# batches.
CACHED = {'keep_cache_private': 'true', 'keep_cache_size': 2 ** 40}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=6,
                        help='for each line')
    parser.add_argument('--objects', type=int, default=512)
    parser.add_argument('--rounds', type=int, default=1)
    options = parser.parse_args()
    found = swift_module.Swift(STATE, BASE_PORT, swift_module.Settings(
        proxies={'proxy': '', 'stock': ''}, stock=('stock',),
        object_server=CACHED))
    found.destroy()
    try:
        found.up()
        url, token = found.login()
        path = urllib.parse.urlsplit(url).path
        names = _fill(found, path, token, options.objects)
        for _ in range(options.rounds):
            for title, objects, size in (
                    (f'{options.objects} objects of 1 MiB', names, MIB),
                    ('one object of 64 MiB', ['large'], 64 * MIB)):
                _compare(found, path, token, title, objects, size,
                         options.seconds)
    finally:
        found.down()
        found.destroy()


def _fill(found, path, token, count):
    """Write the objects."""
    connection = http.client.HTTPConnection('127.0.0.1', found.port('proxy'))
    names = [f'shard-{number:04}.tar' for number in range(count)]
    for name, body in [
            ('', b''), ('large', random.randbytes(64 * MIB)),
            *((name, random.randbytes(MIB)) for name in names)]:
        connection.request('PUT', f'{path}/train/{name}', body,
                           {'X-Auth-Token': token})
        response = connection.getresponse()
        response.read()
        if response.status not in (201, 202):
            sys.exit(f'PUT {name}: {response.status}')
    return names


def _compare(found, path, token, title, objects, size, seconds):
    print(f'\n{title}, items of {ITEM // 1024} KiB')
    print(f'{"":34}{"items/s":>9}{"ratio":>8}{"CPU ms/item":>13}{"ratio":>8}')
    first = None
    for label, proxy, clients, batch in (
            ('GET, 8 clients', 'stock', 8, 0),
            ('batches of 32, 1 client', 'proxy', 1, 32),
            ('batches of 32, 8 clients', 'proxy', 8, 32),
            ('batches of 256, 1 client', 'proxy', 1, 256),
            ('batches of 256, 8 clients', 'proxy', 8, 256)):
        rate, cost = _measure(
            found, clients, seconds,
            (found.url(proxy) + path, token, objects, size, batch))
        first = first or (rate, cost)
        print(f'  {label:32}{rate:9.0f}{rate / first[0]:8.1f}'
              f'{cost * 1000:13.3f}{first[1] / cost:8.1f}', flush=True)


def _measure(found, clients, seconds, work):
    """Items a second, and CPU seconds of all servers an item."""
    context = multiprocessing.get_context('fork')
    start, count = context.Barrier(clients + 1), context.Value('q', 0)
    processes = [
        context.Process(target=_client, args=(
            number, start, count, seconds, *work))
        for number in range(clients)]
    for process in processes:
        process.start()
    start.wait()
    before, begun = _cpu(found), time.monotonic()
    for process in processes:
        process.join()
    elapsed, used = time.monotonic() - begun, _cpu(found) - before
    if any(process.exitcode for process in processes):
        sys.exit('a client has failed')
    return count.value / elapsed, used / count.value


def _cpu(found):
    """CPU seconds of all servers so far."""
    total = 0
    for name in found.names():
        text = pathlib.Path(f'/proc/{found.pid(name)}/stat').read_text()
        fields = text.rpartition(')')[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def _client(number, start, count, seconds, url, token, objects, size, batch):
    rng = random.Random(number)
    read = _gets(url, token) if not batch else _batches(url, token, batch)
    read(_items(rng, objects, size, max(batch, 1)))
    start.wait()
    deadline = time.monotonic() + seconds
    done = 0
    while time.monotonic() < deadline:
        done += read(_items(rng, objects, size, max(batch, 1)))
    with count.get_lock():
        count.value += done


def _items(rng, objects, size, count):
    found = []
    for _ in range(count):
        first = rng.randrange(size // ITEM) * ITEM
        found.append(client.Item(
            rng.choice(objects), ((first, first + ITEM - 1),)))
    return found


def _batches(url, token, batch):
    reader = client.BatchReader(url, token, batch=batch)

    def read(items):
        done = 0
        for result in reader.read(items, 'train'):
            if result.status != 206 or len(result.data[0]) != ITEM:
                sys.exit(f'{result.status} {result.reason}')
            done += 1
        return done
    return read


def _gets(url, token):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)

    def read(items):
        for item in items:
            (first, last), = item.ranges
            connection.request(
                'GET', f'{parts.path}/train/{item.object}', headers={
                    'X-Auth-Token': token, 'Range': f'bytes={first}-{last}'})
            response = connection.getresponse()
            body = response.read()
            if response.status != 206 or len(body) != ITEM:
                sys.exit(f'GET: {response.status}')
        return len(items)
    return read


if __name__ == '__main__':
    main()
