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
"""What the block cache gives is what Swift gives."""

import json
import os
import time

import pytest

from tests.swift import api
from tests.swift import caches as module

RANGES = (
    None, 'bytes=0-0', 'bytes=0-65535', 'bytes=65535-65536', 'bytes=-1',
    'bytes=-70000', 'bytes=300000-', 'bytes=300000-99999999',
    'bytes=0-299999', 'bytes=1-2,5-6', 'bytes=999999999-', 'bytes=5-3',
    'bytes=-0', 'bytes= 3-9', 'BYTES=3-9', 'bytes=a-b', 'bytes=-', 'lines=0-5',
    'bytes=0-', 'bytes=00-07', 'bytes=-9999999', f'bytes={10 ** 20}-')


@pytest.fixture
def container(pair):
    return module.new_container(pair.stock)


@pytest.fixture
def blob():
    return os.urandom(5 * module.BLOCK + 4321)


@pytest.mark.parametrize('size', (0, 1, module.BLOCK, module.BLOCK + 1,
                                  5 * module.BLOCK + 4321))
def test_ranges(pair, container, blob, size):
    for number, wanted in enumerate(RANGES):
        pair.stock.put(f'/{container}/{number}', blob[:size],
                       X_Object_Meta_Colour='blue', X_Delete_After='1000',
                       Content_Type='text/plain; charset=utf-8',
                       Content_Disposition='attachment')
        for _ in range(2):
            pair.same(f'/{container}/{number}', wanted)
    for wanted in RANGES:
        pair.same(f'/{container}/0', wanted)


def test_hits(caches, pair, container, blob):
    path = f'/{container}/o'
    pair.stock.put(path, blob)
    assert module.how(pair.same(path, 'bytes=0-99')) == 'miss'
    assert module.how(pair.same(path, 'bytes=100-199')) == 'hit'
    assert module.how(pair.same(
        path, f'bytes=0-{module.BLOCK}')) == 'partial'
    assert module.how(pair.same(path)) == 'partial'
    before = module.reads(caches, f'{container}/o')
    for _ in range(5):
        got = pair.cached.get(path)
        assert (module.how(got), got.body) == ('hit', blob)
    assert module.reads(caches, f'{container}/o') == before


def test_what_only_swift_answers(pair, container, blob):
    path = f'/{container}/o'
    pair.stock.put(path, blob, X_Object_Meta_Colour='blue')
    etag = pair.same(path).headers['etag']
    for headers in (
            {'X_Newest': 'true'}, {'If_Range': etag}, {'If_Range': '"0"'},
            {'Origin': 'http://example.com'}):
        for wanted in (None, 'bytes=5-9'):
            assert module.how(
                pair.same(path, wanted, **headers)) == 'bypass', headers
    for wanted in (None, 'bytes=5-9'):
        assert pair.same(path, wanted, 'HEAD').status == 200
    # More than is answered from the cache.
    long = blob * 4
    pair.stock.put(path, long)
    pair.cached.put(path, long)
    assert module.how(pair.same(path)) == 'bypass'
    assert module.how(pair.same(path, f'bytes=7-{module.MAX_READ + 6}')) in (
        'miss', 'partial')
    assert module.how(
        pair.same(path, f'bytes=7-{module.MAX_READ + 7}')) == 'bypass'


def test_names(pair, container, blob):
    for name in ('a b', 'ä/ö', '%2F', '//', 'a?b', 'x' * 1024, '.', '..',
                 '\N{SNOWMAN}'):
        pair.stock.put(f'/{container}/{name}', blob + name.encode())
        for _ in range(2):
            assert pair.same(f'/{container}/{name}').body == (
                blob + name.encode())
    assert module.how(pair.same(f'/{container}/ä/ö')) == 'hit'
    for path in (f'/{container}/\0', f'/{container}\0/o', f'/{container}/',
                 f'/{container}', ''):
        pair.same(path)


def test_large_objects(caches, pair, container, blob):
    segments = module.new_container(pair.stock)
    for number in range(4):
        pair.stock.put(f'/{segments}/s/{number}',
                       blob[number * 70000:][:70000])
    pair.stock.put(f'/{container}/slo', json.dumps([
        {'path': f'/{segments}/s/{number}'} for number in range(4)]).encode(),
        '?multipart-manifest=put')
    pair.stock.put(f'/{container}/dlo', X_Object_Manifest=f'{segments}/s/')
    for name in ('slo', 'dlo'):
        path = f'/{container}/{name}'
        for _ in range(2):
            for wanted in RANGES:
                pair.same(path, wanted)
            assert pair.same(path).body == blob[:280000]
            assert pair.same(path, 'bytes=60000-150000').body == (
                blob[60000:150001])
            pair.same(path, query='?multipart-manifest=get')
            pair.same(path, 'bytes=3-9', query='?multipart-manifest=get')
    pair.same(f'/{container}/slo', query='?multipart-manifest=get&format=raw')
    pair.same(f'/{container}/slo', query='?part-number=2')
    assert module.how(pair.same(
        f'/{container}/slo', 'bytes=60000-150000')) == 'hit'
    # The manifest is shorter than where the first range begins.
    pair.stock.put(f'/{container}/far', json.dumps([
        {'path': f'/{segments}/s/{number}'} for number in range(4)]).encode(),
        '?multipart-manifest=put')
    for _ in range(3):
        got = pair.same(f'/{container}/far', 'bytes=200000-200009')
    assert module.how(got) == 'hit'
    before = module.reads(caches, f'{container}/slo', 'GET')
    before += module.reads(caches, f'{segments}/s/1', 'GET')
    for _ in range(5):
        pair.cached.get(f'/{container}/slo', (70001, 139999))
    # All of it comes from the cache, the manifest as well.
    assert before == module.reads(caches, f'{container}/slo', 'GET') + (
        module.reads(caches, f'{segments}/s/1', 'GET'))
    # A segment that is another now.
    pair.cached.put(f'/{segments}/s/1', b'other')
    for wanted in ('bytes=70001-80000', 'bytes=0-9'):
        pair.same(f'/{container}/slo', wanted)
    assert pair.same(f'/{container}/slo', 'bytes=70001-80000').status == 409


def test_symlinks(pair, container, blob):
    pair.stock.put(f'/{container}/target', blob)
    etag = pair.stock.request('HEAD', f'/{container}/target').headers['etag']
    pair.stock.put(f'/{container}/link',
                   X_Symlink_Target=f'{container}/target')
    pair.stock.put(f'/{container}/static', X_Symlink_Target_Etag=etag,
                   X_Symlink_Target=f'{container}/target')
    pair.stock.put(f'/{container}/none', X_Symlink_Target=f'{container}/no')
    for _ in range(3):
        for name in ('link', 'static', 'none'):
            pair.same(f'/{container}/{name}', 'bytes=5-9')
            pair.same(f'/{container}/{name}')
            pair.same(f'/{container}/{name}', query='?symlink=get')
    assert module.how(pair.same(f'/{container}/link', 'bytes=5-9')) == 'hit'
    pair.cached.put(f'/{container}/target', b'other bytes')
    assert pair.same(f'/{container}/link').body == b'other bytes'
    assert pair.same(f'/{container}/static').status == 409


def test_versions(pair, container):
    response = pair.stock.request(
        'POST', f'/{container}', X_Versions_Enabled='true')
    assert response.status == 204
    ids = []
    for body in (b'first', b'second'):
        response = pair.cached.put(f'/{container}/o', body)
        ids.append(response.headers['x-object-version-id'])
        for _ in range(3):
            assert pair.same(f'/{container}/o', 'bytes=0-').body == body
    for _ in range(3):
        for number, body in zip(ids, (b'first', b'second')):
            got = pair.same(f'/{container}/o', query=f'?version-id={number}')
            assert got.body == body
    pair.cached.delete(f'/{container}/o')
    assert pair.same(f'/{container}/o').status == 404


def test_erasure_coding(pair, container, blob):
    coded = f'{container}-coded'
    pair.stock.put(f'/{coded}', X_Storage_Policy='ec')
    pair.stock.put(f'/{coded}/o', blob)
    pair.stock.put(f'/{container}/link', X_Symlink_Target=f'{coded}/o')
    for path in (f'/{coded}/o', f'/{container}/link'):
        for wanted in RANGES:
            pair.same(path, wanted)
        assert module.how(pair.same(path, 'bytes=5-9')) == 'hit'
    pair.cached.put(f'/{coded}/o', b'other')
    assert pair.same(f'/{coded}/o').body == b'other'


def test_expired(pair, container, blob):
    path = f'/{container}/o'
    pair.stock.put(path, blob, X_Delete_After='3')
    deadline = time.time() + 2
    while time.time() < deadline:
        assert pair.same(path, 'bytes=5-9').body == blob[5:10]
    time.sleep(2)
    assert pair.same(path, 'bytes=5-9').status == 404


def test_off_in_one_container(pair, container, blob):
    path = f'/{container}/o'
    pair.stock.put(path, blob)
    pair.same(path)
    assert module.how(pair.same(path)) == 'hit'
    for value, how in (('off', 'bypass'), ('on', 'hit'), ('false', 'bypass'),
                       ('', 'hit')):
        response = pair.cached.request(
            'POST', f'/{container}', X_Container_Meta_Block_Cache=value)
        assert response.status == 204
        pair.same(path)
        assert module.how(pair.same(path)) == how


def test_info(caches):
    assert caches.info(module.CACHED)['block_cache'] == {
        'block_size': module.BLOCK, 'max_age': module.MAX_AGE,
        'max_read': module.MAX_READ}


def test_batches(caches, pair, container, blob):
    """The other filter in the same pipeline."""
    both = api.Api(caches, proxy=module.WITH_BATCHES)
    both.put(f'/{container}/o', blob)
    both.put(f'/{container}/link', X_Symlink_Target=f'{container}/o')
    both.put(f'/{container}/slo', json.dumps(
        [{'path': f'/{container}/o'}] * 2).encode(),
        '?multipart-manifest=put')
    wanted = [{'object': 'o'}, {'object': 'link', 'ranges': [[5, 70000]]},
              {'object': 'slo', 'ranges': [[len(blob) - 5, len(blob) + 4]]}]
    for _ in range(3):
        found = both.batch(wanted, container)
        assert [got.data for got in found] == [
            [blob], [blob[5:70001]], [blob[-5:] + blob[:5]]]
        assert both.get(f'/{container}/o').body == blob
    other = os.urandom(len(blob))
    both.put(f'/{container}/o', other)
    assert [got.data for got in both.batch(wanted[:2], container)] == [
        [other], [other[5:70001]]]


def test_copies(pair, container, blob):
    """Copies read the newest, and what they write is noticed."""
    pair.stock.put(f'/{container}/a', blob)
    pair.cached.put(f'/{container}/b', b'old')
    for name in 'ab':
        pair.same(f'/{container}/{name}')
    pair.cached.put(f'/{container}/b', X_Copy_From=f'{container}/a')
    assert pair.same(f'/{container}/b').body == blob
    pair.cached.put(f'/{container}/a', b'new')
    response = pair.cached.request(
        'COPY', f'/{container}/a', Destination=f'{container}/b')
    assert response.status == 201
    assert pair.same(f'/{container}/b').body == b'new'
