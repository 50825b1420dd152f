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
"""Many clients at once: one read for all, bounded memory, readers ahead."""

import concurrent.futures
import os
import random
import threading
import time

import pytest

from tests.swift import api
from tests.swift import caches as module


@pytest.fixture
def small(caches):
    """8 MiB of RAM, 2 MiB for answers on their way, and it reads ahead."""
    return api.Api(caches, proxy=module.SMALL)


@pytest.fixture
def path(cached):
    return f'/{module.new_container(cached)}/o'


def test_one_read_for_all(caches, cached, path):
    body = os.urandom(8 * module.BLOCK)
    cached.put(path, body)
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for number in range(8):
            first = number * module.BLOCK
            before = module.reads(caches, path[1:])
            barrier = threading.Barrier(24)

            def read():
                barrier.wait()
                return cached.get(path, (first, first + 999)).body

            for future in [pool.submit(read) for _ in range(24)]:
                assert future.result() == body[first:first + 1000]
            # The first round asks for the version as well, with one GET.
            assert module.reads(caches, path[1:], 'GET') <= before + 1
            assert module.reads(caches, path[1:]) <= before + 2


def test_a_read_that_fails_fails_nobody_for_ever(caches, cached, path):
    body = os.urandom(4 * module.BLOCK)
    cached.put(path, body)
    servers = [caches.object_server(number) for number in range(3)]
    caches.stop(*servers, seconds=0)
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(
                lambda _: cached.get(path, (5, 9)).status, range(8)))
        assert set(found) <= {503, 404}
    finally:
        caches.start(*servers)
    module.until(lambda: cached.get(path, (5, 9)).body == body[5:10])
    time.sleep(module.MAX_AGE)
    for _ in range(2):
        got = cached.get(path, (5, 9))
    assert (module.how(got), got.body) == ('hit', body[5:10])


def test_writes_that_fail(caches, cached, path):
    """A write that was cut off does not make what is there suspect."""
    body = os.urandom(2 * module.BLOCK)
    cached.put(path, body)
    for _ in range(3):
        sock = module.begin(cached, 'PUT', path, b'x' * 5000, length=99999)
        time.sleep(0.2)
        sock.close()
        assert cached.request(
            'PUT', path, b'x', Etag='0' * 32).status == 422
        time.sleep(0.3)
        before = module.reads(caches, path[1:])
        for _ in range(4):
            got = cached.get(path, (5, 9))
            assert got.body == body[5:10]
        assert module.how(got) == 'hit'
        assert module.reads(caches, path[1:]) <= before + 1


def test_memory_is_bounded(caches, small, path):
    """Slow clients hold what they were to get; others go past the cache."""
    body = os.urandom(2 ** 20)
    for number in range(8):
        small.put(f'{path}{number}', body)
        small.get(f'{path}{number}')
    before = module.memory(caches, module.SMALL)
    sockets = [
        module.begin(small, 'GET', f'{path}{number % 8}', buffer=4096)
        for number in range(64)]
    time.sleep(1)
    grown = module.memory(caches, module.SMALL) - before
    # What goes past the cache holds a piece of 64 KiB of each.
    assert grown < 24 * 2 ** 20, grown
    for sock in sockets:
        sock.close()
    time.sleep(0.5)
    for _ in range(2):
        got = small.get(path + '0')
        assert got.body == body
    assert module.how(got) != 'bypass'


def test_scans_do_not_displace_what_is_hot(caches, small, path):
    hot = os.urandom(2 ** 20 - 1)
    small.put(path, hot)
    for _ in range(4):
        assert small.get(path).body == hot
    for number in range(16):
        cold = os.urandom(2 ** 20)
        small.put(f'{path}-{number}', cold)
        # Ranges, so that nothing is read twice or ahead.
        for at in reversed(range(0, 2 ** 20, module.BLOCK)):
            small.get(f'{path}-{number}', (at, at + 99))
    time.sleep(0.1)
    before = module.reads(caches, path[1:], 'GET')
    assert small.get(path).body == hot
    assert module.reads(caches, path[1:], 'GET') == before


def test_reading_ahead(caches, small, path):
    body = os.urandom(40 * module.BLOCK)
    small.put(path, body)
    step = module.BLOCK // 2
    outcomes = []
    for at in range(0, 20 * module.BLOCK, step):
        got = small.get(path, (at, at + step - 1))
        assert got.body == body[at:at + step]
        outcomes.append(module.how(got))
        time.sleep(0.03)
    assert outcomes[6:].count('hit') > len(outcomes[6:]) - 4, outcomes
    reads = module.reads(caches, path[1:], 'GET')
    # In steps of several blocks, not one by one.
    assert reads < 20, reads
    # Nobody reads on.
    time.sleep(0.5)
    assert module.reads(caches, path[1:], 'GET') == reads
    got = small.get(path, (30 * module.BLOCK, 30 * module.BLOCK))
    assert module.how(got) == 'miss'


def test_a_client_that_hangs_up(caches, small, path):
    body = os.urandom(2 ** 20)
    small.put(path, body)
    for _ in range(20):
        sock = module.begin(small, 'GET', path)
        if random.random() < 0.5:
            sock.recv(100)
        sock.close()
    time.sleep(0.5)
    for _ in range(2):
        got = small.get(path)
    # Nothing of what they were to get is still held.
    assert (module.how(got), got.body) == ('hit', body)
