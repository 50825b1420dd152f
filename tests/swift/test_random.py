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

"""Random work: what a batch gives is what ordinary GETs give."""

import contextlib
import hashlib
import os
import random
import threading
import time

import hypothesis
from hypothesis import strategies as st
import pytest

from tests.swift import api

SIZES = (0, 1, 2, 1000, 4096, 65536, 300001, 1048576, 2500000)


@pytest.fixture(scope='module')
def objects(swift):
    """A container with objects of many sizes and kinds.

    :returns: (api, container, {name: bytes})
    """
    tester = api.Api(swift)
    tester.put('/random')
    found = {}
    for size in SIZES:
        found[f'o{size}'] = os.urandom(size)
        tester.put(f'/random/o{size}', found[f'o{size}'])
    found['slo'] = b''.join(
        found[f'o{size}'] for size in (300001, 1000, 65536))
    tester.put('/random/slo', api.json.dumps([
        {'path': f'/random/o{size}'}
        for size in (300001, 1000, 65536)]).encode(),
        '?multipart-manifest=put')
    found['link'] = found['o65536']
    tester.put('/random/link', X_Symlink_Target='random/o65536')
    return tester, 'random', found


def positions(size):
    near = [0, 1, size // 2, size - 1, size, size + 1, 2 ** 63 - 1]
    return st.sampled_from([n for n in near if n >= 0]) | st.integers(
        0, size + 100)


@st.composite
def ranges(draw, size):
    kind = draw(st.sampled_from(['closed', 'closed', 'open', 'suffix']))
    if kind == 'suffix':
        return [None, draw(positions(size))]
    first = draw(positions(size))
    if kind == 'open':
        return [first, None]
    return [first, max(first, draw(positions(size)))]


@st.composite
def batches(draw):
    names = draw(st.lists(st.sampled_from(
        [f'o{size}' for size in SIZES] + ['slo', 'link', 'none']),
        min_size=1, max_size=20))
    wanted = []
    for name in names:
        size = {'slo': 366537, 'link': 65536, 'none': 10}.get(
            name) or int(name[1:] if name[1:].isdigit() else 0)
        item = {'object': name}
        count = draw(st.sampled_from([0, 1, 1, 1, 2, 4]))
        if count:
            item['ranges'] = [draw(ranges(size)) for _ in range(count)]
        wanted.append(item)
    return wanted


def expected(blob, item):
    """Status and data, as RFC 9110 has them."""
    if blob is None:
        return 404, []
    if 'ranges' not in item:
        return 200, [blob]
    data = []
    for first, last in item['ranges']:
        if first is None:
            if not last:
                return 416, []
            data.append(blob[-last:])
        elif first >= len(blob):
            return 416, []
        else:
            data.append(blob[first:] if last is None else blob[first:last + 1])
    return 206, data


def test_batches(objects, request):
    tester, container, blobs = objects

    @hypothesis.settings(
        max_examples=request.config.getoption('--examples'), deadline=None,
        database=None)
    @hypothesis.given(batches(), st.integers(0, 2 ** 32))
    def run(wanted, seed):
        found = tester.batch(wanted, container)
        for item, got in zip(wanted, found):
            status, data = expected(blobs.get(item['object']), item)
            assert (got.status, got.data) == (status, data)
        # Swift itself agrees.
        item = random.Random(seed).choice(wanted)
        if len(item.get('ranges', [])) == 1:
            stock = tester.get(
                f'/{container}/{item["object"]}', item['ranges'][0])
            status, data = expected(blobs.get(item['object']), item)
            if data == [b''] and item['ranges'][0][0] is None:
                status = 200  # Swift gives all of an empty object.
            assert stock.status == status
            if data:
                assert stock.body == data[0]

    run()


class Chaos:
    """Objects that change, and servers that die, while others read.

    Each version of an object is noted before it is written, so that what is
    read can be told to be one of them.
    """

    def __init__(self, swift, container):
        self.swift = swift
        self.owner = api.Api(swift)
        self.reader = api.Api(swift, user='reader')
        self.container = container
        self.versions = {f'o{n}': {} for n in range(6)}
        self.over = threading.Event()
        self.failures = []
        self.read = 0
        self.refused = 0

    def write(self, name, rng):
        body = rng.randbytes(rng.choice([1000, 70000, 400000]))
        if rng.random() < 0.4:
            self.write_large(name, body, rng)
            return
        self.versions[name][hashlib.md5(body).hexdigest()] = body
        self.owner.request('PUT', f'/{self.container}/{name}', body)

    def write_large(self, name, body, rng):
        """Write a static large object, whose segments will change."""
        cut = rng.randrange(1, len(body))
        etags, manifest = [], []
        for number, data in enumerate((body[:cut], body[cut:])):
            path = f'/{self.container}/{name}-segment-{number}'
            self.owner.request('PUT', path, data)
            etags.append(hashlib.md5(data).hexdigest())
            # Swift refuses it if it finds another version, on a server that
            # was away when this one was written.
            manifest.append({'path': path, 'etag': etags[-1]})
        etag = hashlib.md5(''.join(etags).encode()).hexdigest()
        self.versions[name][etag] = body
        self.owner.request(
            'PUT', f'/{self.container}/{name}',
            api.json.dumps(manifest).encode(), '?multipart-manifest=put')

    def writing(self, seed):
        rng = random.Random(seed)
        while not self.over.is_set():
            name = rng.choice(list(self.versions))
            if rng.random() < 0.2:
                self.owner.request('DELETE', f'/{self.container}/{name}')
            else:
                self.write(name, rng)

    def locking(self, seed):
        """Take the reader's rights, see that they are gone, give them back.

        In a container that nobody else reads: Swift forgets what it knows of
        a container before a POST changes it, so that who reads meanwhile
        brings the old rights back, for all reads.
        """
        container = f'{self.container}-locked'
        self.owner.put(f'/{container}')
        self.owner.put(f'/{container}/o', b'secret')
        wanted = [{'object': 'o', 'container': container},
                  {'object': 'o0', 'container': self.container}]
        while not self.over.is_set():
            for value, status in (('', 403), ('test:reader', 200)):
                self._allow(container, value)
                for got in self.reader.batch(wanted)[:1]:
                    assert got.status == status, (value, got)
            self.refused += 1

    def _allow(self, container, value):
        response = self.owner.request(
            'POST', f'/{container}', X_Container_Read=value)
        assert response.status == 204, response

    def reading(self, seed):
        rng = random.Random(seed)
        while not self.over.is_set():
            wanted = []
            for _ in range(40):
                first = rng.randrange(300000)
                wanted.append({
                    'object': rng.choice(list(self.versions)),
                    'ranges': [[first, first + rng.randrange(100000)]]
                    if rng.random() < 0.9 else [[None, 5000], [0, 5000]]})
            seen = {}
            for item, got in zip(
                    wanted, self.reader.batch(wanted, self.container)):
                self.judge(item, got, seen)

    def judge(self, item, got, seen):
        name = item['object']
        if got.aborted or got.status not in (200, 206):
            assert (got.aborted or got.status) in (404, 409, 412, 416, 503)
            return
        body = self.versions[name][got.meta['etag']]
        assert (got.status, got.data) == expected(body, item)
        # A batch has one version of an object.
        assert seen.setdefault(name, got.meta['etag']) == got.meta['etag']
        self.read += 1

    def killing(self, seed):
        rng = random.Random(seed)
        while not self.over.is_set():
            victim = self.swift.object_server(rng.randrange(3))
            self.swift.stop(victim, seconds=0)
            time.sleep(0.3)
            self.swift.start(victim)
            time.sleep(1.5)

    def run(self, seconds, *work):
        threads = [threading.Thread(target=self._guard, args=(one, seed))
                   for seed, one in enumerate(work)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.failures:
            time.sleep(0.1)
        self.over.set()
        for thread in threads:
            thread.join()
        assert not self.failures, repr(self.failures)[:2000]

    def _guard(self, work, seed):
        try:
            work(seed)
        except BaseException as exc:
            self.failures.append(exc)


def test_chaos(swift, container, request):
    chaos = Chaos(swift, container)
    chaos._allow(container, 'test:reader')
    for name in chaos.versions:
        chaos.write(name, random.Random(name))
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [
            swift.start(name) for name in swift.names()
            if swift.pid(name) is None])
        chaos.run(request.config.getoption('--examples') / 2,
                  chaos.reading, chaos.reading, chaos.writing,
                  chaos.locking, chaos.killing)
    assert chaos.read > 100
    assert chaos.refused
