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

import os

import pytest

from tests.swift import caches as module

RANGES = (
    None, 'bytes=0-0', 'bytes=0-65535', 'bytes=65535-65536', 'bytes=-1',
    'bytes=-70000', 'bytes=300000-', 'bytes=300000-99999999',
    'bytes=0-299999', 'bytes=1-2,5-6', 'bytes=999999999-', 'bytes=5-3',
    'bytes=-0', 'bytes= 3-9', 'BYTES=3-9', 'bytes=a-b', 'bytes=-', 'lines=0-5',
    'bytes=0-', 'bytes=00-07', 'bytes=-9999999', f'bytes={10 ** 20}-')


@pytest.fixture
def pair(caches):
    return module.Pair(caches)


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
