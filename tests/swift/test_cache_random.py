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
"""Random reads beside writers: never a wrong byte, never a mix, never old."""

import hashlib
import json
import os
import random
import threading
import time

import hypothesis
from hypothesis import strategies as st
import pytest

from tests.swift import api
from tests.swift import caches as module

SIZES = (0, 1, 4096, module.BLOCK - 1, module.BLOCK, module.BLOCK + 1,
         3 * module.BLOCK, 5 * module.BLOCK + 4321)


@pytest.fixture(scope='module')
def objects(caches):
    """A container with objects of many sizes.

    :returns: (:class:`module.Pair`, container, {name: size})
    """
    pair = module.Pair(caches, module.SMALL)
    container = module.new_container(pair.stock)
    found = {}
    for size in SIZES:
        found[f'o{size}'] = size
        pair.stock.put(f'/{container}/o{size}', os.urandom(size))
    names = [f'o{size}' for size in SIZES[1:]]
    pair.stock.put(f'/{container}/slo', json.dumps(
        [{'path': f'/{container}/{name}'} for name in names]).encode(),
        '?multipart-manifest=put')
    found['slo'] = sum(found[name] for name in names)
    return pair, container, found


@st.composite
def ranges(draw, size):
    near = st.sampled_from([
        max(0, at + by) for at in (0, module.BLOCK, 2 * module.BLOCK, size)
        for by in (-1, 0, 1)]) | st.integers(0, size + 100)
    kind = draw(st.sampled_from(['closed', 'closed', 'open', 'suffix', None]))
    if kind is None:
        return None
    if kind == 'suffix':
        return f'bytes=-{draw(near)}'
    first = draw(near)
    if kind == 'open':
        return f'bytes={first}-'
    return f'bytes={first}-{max(first, draw(near))}'


def test_ranges(objects, request):
    pair, container, sizes = objects

    @hypothesis.settings(
        max_examples=4 * request.config.getoption('--examples'), deadline=None,
        database=None)
    @hypothesis.given(st.data())
    def run(data):
        name = data.draw(st.sampled_from(sorted(sizes)))
        wanted = data.draw(ranges(sizes[name]))
        pair.same(f'/{container}/{name}', wanted)

    run()


class Chaos:
    """Objects that change while many read them through three caches.

    What was written is noted before, and when it is over, so that a read can
    be told to be of a version that may be seen at that time.
    """

    def __init__(self, swift, container):
        self.swift = swift
        self.container = container
        self.writers = [
            api.Api(swift, proxy=name) for name in (
                module.CACHED, module.SECOND)]
        self.readers = [
            api.Api(swift, proxy=name) for name in (
                module.CACHED, module.SECOND, module.SMALL)]
        self.names = [f'o{number}' for number in range(4)]
        self.bodies = {}  # (name, etag) to (number of the write, bytes)
        self.deleted = {}  # name to the number of the last deletion
        self.done = {name: 0 for name in self.names}  # the last that is over
        self.over = threading.Event()
        self.failures = []
        self.read = 0
        self.hits = 0

    def put(self, name, number, rng, writer):
        body = rng.randbytes(rng.choice([1000, 70000, 200000, 400000]))
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self.bodies[name, etag] = number, body
        assert writer.request(
            'PUT', f'/{self.container}/{name}', body).status == 201

    def writing(self, seed):
        """Change an object that nobody else changes."""
        rng, name = random.Random(seed), self.names[seed]
        for number in range(1, 10 ** 6):
            if self.over.is_set():
                return
            writer = rng.choice(self.writers)
            if rng.random() < 0.2:
                self.deleted[name] = number
                response = writer.request(
                    'DELETE', f'/{self.container}/{name}')
                assert response.status in (204, 404)
            elif rng.random() < 0.2:
                writer.request('POST', f'/{self.container}/{name}',
                               X_Object_Meta_Number=str(number))
                continue
            else:
                self.put(name, number, rng, writer)
            self.done[name] = number
            time.sleep(rng.random() * 0.5)

    def reading(self, seed):
        rng = random.Random(seed)
        while not self.over.is_set():
            name = rng.choice(self.names)
            first = rng.randrange(200000)
            last = first + rng.randrange(100000)
            before = self.done[name]
            got = rng.choice(self.readers).get(
                f'/{self.container}/{name}', (first, last))
            self.judge(name, first, last, before, got)

    def judge(self, name, first, last, before, got):
        if got.status == 404:
            assert self.deleted.get(name, -1) >= before
            return
        if got.status == 416:
            assert any(number >= before and len(body) <= first
                       for (other, _), (number, body) in list(
                           self.bodies.items()) if other == name)
            return
        assert got.status == 206, got
        number, body = self.bodies[name, got.headers['etag'].strip('"')]
        assert number >= before, (name, number, before)
        assert got.body == body[first:last + 1]
        assert got.headers['content-range'] == 'bytes {}-{}/{}'.format(
            first, min(last, len(body) - 1), len(body))
        self.read += 1
        self.hits += module.how(got) == 'hit'

    def locking(self, seed):
        """Take a reader's rights, see that they are gone, give them back."""
        container = f'{self.container}-locked'
        owner = self.writers[0]
        owner.put(f'/{container}')
        owner.put(f'/{container}/o', b'secret')
        users = [api.Api(self.swift, user='reader', proxy=user.proxy)
                 for user in self.readers]
        while not self.over.is_set():
            for value, status in (('', 403), ('test:reader', 206)):
                module.set_readers(owner, container, value)
                for user in users:
                    got = user.get(f'/{container}/o', (0, 3))
                    assert got.status == status, (value, got)

    def run(self, seconds, work):
        threads = [threading.Thread(target=self._guard, args=item)
                   for item in work]
        for thread in threads:
            thread.start()
        self.over.wait(seconds)
        self.over.set()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _guard(self, work, seed):
        try:
            work(seed)
        except BaseException as exc:
            self.failures.append(exc)
            self.over.set()


def test_chaos(caches, request):
    owner = api.Api(caches, proxy=module.STOCK)
    chaos = Chaos(caches, module.new_container(owner))
    for number, name in enumerate(chaos.names):
        chaos.put(name, 0, random.Random(number), chaos.writers[0])
    chaos.run(request.config.getoption('--examples') / 2, [
        *((chaos.writing, number) for number in range(4)),
        *((chaos.reading, number) for number in range(4)),
        (chaos.locking, 0)])
    print(f'{chaos.read} reads, {chaos.hits} from the cache, '
          f'{len(chaos.bodies)} versions')
    assert chaos.read > 100
    assert chaos.hits > 10
