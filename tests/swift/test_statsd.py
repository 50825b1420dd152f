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

"""What a server of statsd is told by real servers of Swift.

The names are those that doc/source/admin/swift.rst and swift-cache.rst give.
"""

import itertools
import os
import pathlib
import re
import time

import pytest

from cloud.services import swift as swift_module
from tests.swift import api
from tests.swift import caches
from tests.swift import disks
from tests.swift import processes
from tests.swift import statsd as module

ROOT = pathlib.Path(__file__).parents[2]
STATE = ROOT / '.cloud-swift-statsd'
BASE_PORT = 22740
PREFIX = 'ai'
BLOCK = 64 * 1024
MAX_AGE = 2
# As few bytes as may be: of RAM for blocks, and for answers under way.
LEAST = 1024 * 1024
SIZE = 3 * LEAST
RARE = {'cancelled', 'stale_replicas'}
_numbers = itertools.count()


@pytest.fixture(scope='module')
def statsd():
    server = module.Statsd()
    yield server
    server.close()


@pytest.fixture(scope='module')
def swift(statsd):
    """All filters in one pipeline; all servers tell the same statsd."""
    settings = swift_module.Settings(
        object_servers=2, replicas=2, proxies={'proxy': 'block_cache'},
        s3api={}, batch_read={'recheck_servers': 0}, block_caches={
            'block_cache': {
                'block_size': BLOCK, 'max_age': MAX_AGE, 'max_read': LEAST,
                'ram_bytes': LEAST, 'max_pending': LEAST,
                'readahead': BLOCK}},
        memcache={'error_suppression_interval': 1},
        proxy={'error_suppression_interval': 1},
        default=statsd.options(PREFIX))
    with processes.running(swift_module.Swift(
            STATE, BASE_PORT, settings), caches.up) as found:
        yield found


@pytest.fixture
def owner(swift):
    return api.Api(swift)


@pytest.fixture
def path(owner):
    """Path of a new object."""
    found = f'/s{next(_numbers)}/o'
    owner.put(found.rpartition('/')[0])
    owner.put(found, bytes(SIZE))
    return found


@pytest.fixture
def counted(statsd):
    """What the counters of a filter have been told since a call before."""
    def name_of(name, what):
        return f'{PREFIX}.{name}.{what}'

    class Counted:
        def __init__(self):
            self.start()

        def start(self):
            self._before = statsd.settled_counts()

        def of(self, name):
            found = statsd.settled_counts() - self._before
            start = name_of(name, '')
            return {key.removeprefix(start): value
                    for key, value in found.items() if key.startswith(start)}

    return Counted()


def documented(prefix):
    """The names that the guides give for a prefix."""
    guide = 'swift-cache' if prefix == 'block-cache' else 'swift'
    text = (ROOT / f'doc/source/admin/{guide}.rst').read_text()
    section = re.search(
        r'\nStatistics\n-+\n(.*?)\n\S[^\n]*\n-+\n', text, re.S)[1]
    sentence, = (item for item in re.split(r'\.\s', section)
                 if f'``{prefix}``' in item)
    return set(re.findall(
        r'``([\w.]+)``', re.sub(r'\([^)]*\)', '', sentence)))


def test_a_batch(owner, path, counted):
    counted.start()
    owner.batch([
        {'object': 'o', 'ranges': [[0, 99], [1000, 1999]]},
        {'object': 'o', 'ranges': [[5, 14]]},
        {'object': 'none'}], path.split('/')[1])
    # The missing one is asked for in the ordinary way as well.
    assert counted.of('batch-read') == {
        'batches': 1, 'entries': 3, 'bytes': 1110, 'failed': 1,
        'ordinary': 1, 'requests': counted.of('range-server')['batches']}
    assert counted.of('range-server')['entries'] >= 3


def test_a_get_of_several_ranges(owner, path):
    """What it counts has to be in the guide: see the last test."""
    found = owner.request('GET', path, Range='bytes=0-9,100-109')
    assert found.status == 206
    assert found.headers['content-type'].startswith('multipart/byteranges')


def test_a_batch_whose_server_fails(swift, owner, path, counted):
    wanted = [{'object': 'o', 'ranges': [[n, n]]} for n in range(4)]
    counted.start()
    # The replicas are asked in turn.
    swift.stop('object-0')
    try:
        for _ in range(10):
            owner.batch(wanted, path.split('/')[1])
            if 'failovers' in counted.of('batch-read'):
                break
            time.sleep(1)
    finally:
        swift.start('object-0')
    found = counted.of('batch-read')
    assert found['failovers'] >= 1
    assert found['entries'] == 4 * found['batches']
    assert found['bytes'] == found['entries']


def test_a_server_that_dies_while_it_is_read(swift, owner, path, counted):
    """Another is asked for what is missing, from the right byte on."""
    body, container = os.urandom(48 * LEAST), path.split('/')[1]
    owner.put(path, body)
    counted.start()
    with owner.begun_batch([{
            'object': 'o', 'ranges': [[5, len(body) - 9]]}],
            container) as rest:
        (server, _), = disks.read_replicas(swift, container, 'o')
        swift.stop(server, seconds=0)
        got, = api.decode(rest(), 1)
    swift.start(server)
    processes.forget_errors()
    assert got.data == [body[5:-8]]
    found = counted.of('batch-read')
    assert found['failovers'] == 1
    assert 'ordinary' not in found


def test_reads_of_the_cache(owner, path, counted, statsd):
    counted.start()
    for wanted in ((0, 9), (0, 9), (BLOCK - 5, BLOCK + 4)):
        owner.get(path, wanted)
    owner.get(path, (0, 9), X_Newest='true')
    found = counted.of('block-cache')
    assert found == {'hits': 1, 'misses': 1, 'partial': 1, 'bypassed': 1,
                     'bytes': 30, 'fills': 2}
    timings = statsd.timings()
    for how in ('hit', 'miss', 'partial'):
        assert all(0 <= value < 60000 for value in timings[
            f'{PREFIX}.block-cache.{how}.timing'])


def test_reading_ahead(owner, path, counted):
    counted.start()
    for number in range(4):
        owner.get(path, (number * BLOCK, (number + 1) * BLOCK - 1))
        time.sleep(0.3)
    assert counted.of('block-cache')['readaheads'] >= 1


def test_what_was_seen_long_ago(owner, path, counted):
    owner.get(path, (0, 9))
    counted.start()
    time.sleep(MAX_AGE)
    owner.get(path, (0, 9))
    assert counted.of('block-cache') == {
        'checks': 1, 'confirmed': 1, 'hits': 1, 'bytes': 10}


def test_what_is_in_use(owner, path, counted):
    owner.get(path, (0, 9))
    time.sleep(MAX_AGE / 2)
    counted.start()
    owner.get(path, (0, 9))
    time.sleep(MAX_AGE / 2)
    assert counted.of('block-cache') == {
        'checks': 1, 'renewals': 1, 'hits': 1, 'bytes': 10}


def test_writes(owner, path, counted):
    counted.start()
    owner.put(path, b'1')
    owner.request('POST', path, X_Object_Meta_Colour='blue')
    owner.delete(path)
    assert counted.of('block-cache') == {'invalidations': 3}


def test_evictions(owner, path, counted):
    counted.start()
    for first in range(0, SIZE - BLOCK, BLOCK):
        owner.get(path, (first + 1, first + 10))
    assert counted.of('block-cache')['evictions'] > 0


def test_more_than_may_be_under_way(owner, path, counted):
    """A range of as many bytes as there is room for, in one block more."""
    counted.start()
    assert owner.get(path, (1, LEAST)).body == bytes(LEAST)
    assert counted.of('block-cache') == {'crowded': 1, 'bypassed': 1}


def test_without_memcached(swift, owner, path, counted):
    # There are the tokens as well.
    owner.request('POST', path.rpartition('/')[0], X_Container_Read='.r:*')
    assert owner.get(path, (0, 9), token=False).status == 206
    swift.stop('memcached')
    try:
        counted.start()
        assert owner.get(path, (0, 9), token=False).status == 206
        found = counted.of('block-cache')
    finally:
        swift.start('memcached')
        caches.until(lambda: api.Api(swift).request('HEAD').status == 204)
    assert found == {'unavailable': 1, 'bypassed': 1}


def test_the_guides(swift, statsd):
    """What came in these tests is what they say."""
    for prefix in ('batch-read', 'range-server', 'block-cache'):
        start = f'{PREFIX}.{prefix}.'
        told = {name.removeprefix(start)
                for name in (*statsd.counts(), *statsd.timings())
                if name.startswith(start)}
        # Others provoke these: test_cache_load, test_cache_writes.
        assert told | RARE == documented(prefix) | RARE, prefix
