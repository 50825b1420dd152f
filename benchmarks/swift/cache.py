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
"""Read small ranges with ordinary GETs, with and without the block cache.

``python -m benchmarks.swift.cache`` starts a Swift on directories with three
object servers, three replicas and two proxies, one of them with the filter
``block_cache``, and deletes it afterwards. Native clients have a token, S3
clients sign their requests beforehand. All servers and clients share this
machine; each server is one process; what is read is in the page cache of the
object servers, and in the RAM of the cache.
CPU is that of the proxy and the object servers, and of memcached.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import sys
import time
import urllib.parse

from ai_factory_plugins.testing import signing
from cloud.services import swift as swift_module

STATE = pathlib.Path('.cloud-swift-benchmark-cache')
BASE_PORT = 22800
MIB = 1024 * 1024
ITEM = 64 * 1024
OBJECT = 64 * MIB
SEGMENTS = 16
TICKS = os.sysconf('SC_CLK_TCK')
ACCOUNT, USER = 'test', 'tester'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=5,
                        help='for each line')
    parser.add_argument('--clients', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=1)
    options = parser.parse_args()
    found = swift_module.Swift(STATE, BASE_PORT, swift_module.Settings(
        proxies={'proxy': '', 'cached': 'block_cache'},
        stock=('proxy', 'cached'), s3api={}, block_caches={
            'block_cache': {'ram_bytes': 512 * MIB}},
        object_server={'keep_cache_private': 'true',
                       'keep_cache_size': 2 ** 40}))
    found.destroy()
    try:
        found.up()
        url, token = found.login()
        path = urllib.parse.urlsplit(url).path
        _fill(found, path, token)
        for _ in range(options.rounds):
            for name in ('plain', 'slo'):
                _compare(found, path, token, name, options)
    finally:
        found.down()
        found.destroy()


def _fill(found, path, token):
    """Write the objects."""
    connection = http.client.HTTPConnection('127.0.0.1', found.port('proxy'))
    piece = OBJECT // SEGMENTS
    manifest = [{'path': f'/segments/{number:02}'}
                for number in range(SEGMENTS)]
    for name, body in [
            ('train', b''), ('segments', b''),
            ('train/plain', random.randbytes(OBJECT)),
            *((f'segments/{number:02}', random.randbytes(piece))
              for number in range(SEGMENTS)),
            ('train/slo?multipart-manifest=put',
             json.dumps(manifest).encode())]:
        _put(connection, f'{path}/{name}', body, token)


def _put(connection, target, body, token):
    """Write one, as soon as all servers are ready for it."""
    for _ in range(20):
        connection.request('PUT', target, body, {'X-Auth-Token': token})
        response = connection.getresponse()
        reason = response.read()
        if response.status in (201, 202):
            return
        time.sleep(0.3)
    sys.exit(f'PUT {target}: {response.status} {reason}')


def _compare(found, path, token, name, options):
    print(f'\n{name} object of {OBJECT // MIB} MiB, items of '
          f'{ITEM // 1024} KiB, {options.clients} clients')
    print(f'{"":26}{"items/s":>9}{"ratio":>8}{"CPU ms/item":>13}{"proxy":>8}'
          f'{"ratio":>8}')
    for api in ('native', 'S3'):
        first = None
        for proxy in ('proxy', 'cached'):
            target = _target(found, proxy, api, path, token, name)
            if proxy == 'cached':
                _warm(found.port(proxy), *target)
            rate, cost, of_proxy = _measure(found, proxy, options, target)
            first = first or (rate, cost)
            label = 'stock' if proxy == 'proxy' else 'block cache'
            print(f'  {api + ", " + label:24}{rate:9.0f}'
                  f'{rate / first[0]:8.1f}{cost * 1000:13.3f}'
                  f'{of_proxy * 1000:8.3f}{first[1] / cost:8.1f}', flush=True)


def _target(found, proxy, api, path, token, name):
    """Path and headers of a request."""
    if api == 'native':
        return f'{path}/train/{name}', {'X-Auth-Token': token}
    return signing.presign(
        f'127.0.0.1:{found.port(proxy)}', f'/train/{name}',
        f'{ACCOUNT}:{USER}', swift_module.USERS[ACCOUNT, USER][0]), {}


def _warm(port, target, headers):
    """Bring all blocks into the cache."""
    connection = http.client.HTTPConnection('127.0.0.1', port)
    for first in range(0, OBJECT, MIB):
        _get(connection, target, headers, first, MIB)


def _get(connection, target, headers, first, length):
    connection.request('GET', target, headers={
        **headers, 'Range': f'bytes={first}-{first + length - 1}'})
    response = connection.getresponse()
    if response.status != 206 or len(response.read()) != length:
        sys.exit(f'GET: {response.status}')


def _measure(found, proxy, options, target):
    """Items a second; CPU seconds an item of all servers, and of the proxy."""
    context = multiprocessing.get_context('fork')
    start, count = context.Barrier(options.clients + 1), context.Value('q', 0)
    processes = [
        context.Process(target=_client, args=(
            number, start, count, options.seconds, found.port(proxy), target))
        for number in range(options.clients)]
    for process in processes:
        process.start()
    start.wait()
    before, begun = _cpu(found), time.monotonic()
    for process in processes:
        process.join()
    elapsed = time.monotonic() - begun
    used = {name: value - before[name] for name, value in _cpu(found).items()}
    if any(process.exitcode for process in processes):
        sys.exit('a client has failed')
    return (count.value / elapsed, sum(used.values()) / count.value,
            used[proxy] / count.value)


def _cpu(found):
    """CPU seconds so far, by server."""
    result = {}
    for name in found.names():
        text = pathlib.Path(f'/proc/{found.pid(name)}/stat').read_text()
        fields = text.rpartition(')')[2].split()
        result[name] = (int(fields[11]) + int(fields[12])) / TICKS
    return result


def _client(number, start, count, seconds, port, target):
    rng = random.Random(number)
    connection = http.client.HTTPConnection('127.0.0.1', port)
    _get(connection, *target, 0, ITEM)
    start.wait()
    deadline = time.monotonic() + seconds
    done = 0
    while time.monotonic() < deadline:
        _get(connection, *target, rng.randrange(OBJECT // ITEM) * ITEM, ITEM)
        done += 1
    with count.get_lock():
        count.value += done


if __name__ == '__main__':
    main()
