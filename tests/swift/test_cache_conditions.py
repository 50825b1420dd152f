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
"""Requests with conditions get from the block cache what Swift gives."""

import email.utils
import itertools
import json
import os

import pytest

from tests.swift import caches as module
from tests.swift import test_cache_s3

OTHER = '"d41d8cd98f00b204e9800998ecf8427e"'
RANGES = (None, 'bytes=5-9', 'bytes=-7', 'bytes=9999999-')


@pytest.fixture
def container(pair):
    return module.new_container(pair.stock)


def tags(etag):
    """Values of If-Match and If-None-Match for an object with an etag."""
    etag = etag.strip('"')
    return (f'"{etag}"', etag, f'W/"{etag}"', OTHER, f'{OTHER}, "{etag}"',
            f'"{etag}",{OTHER}', '*', '"*"', '', '"', f'"{etag}', ',')


def dates(modified):
    """Values of conditions with dates."""
    at = email.utils.parsedate_to_datetime(modified).timestamp()
    return (*(email.utils.formatdate(at + by, usegmt=True)
              for by in (-1, 0, 1, 10 ** 6)), 'no date', '')


def check_all(pair, path, ranges=RANGES, hits=True):
    """Compare what both say, for all conditions.

    :param hits: whether all that can be is answered from the cache
    """
    for wanted in RANGES[:3]:
        pair.same(path, wanted)
    headers = pair.same(path).headers
    singles = [(name, value) for names, values in (
        (('If_Match', 'If_None_Match'), tags(headers['etag'])),
        (('If_Modified_Since', 'If_Unmodified_Since'),
         dates(headers['last-modified'])))
        for name in names for value in values]
    statuses = set()
    for (name, value), wanted in itertools.product(singles, ranges):
        got = pair.same(path, wanted, **{name: value})
        statuses.add(got.status)
        # What a client gets that knows of another version is up to Swift.
        assert not hits or module.how(got) == (
            'bypass' if got.status in (412, 416) else 'hit')
    assert statuses >= {304, 412}


def test_conditions(pair, container):
    path = f'/{container}/o'
    pair.stock.put(path, os.urandom(100000), X_Object_Meta_Colour='blue',
                   Content_Type='text/plain; charset=utf-8',
                   Content_Disposition='attachment')
    check_all(pair, path)


def test_several_conditions(pair, container):
    path = f'/{container}/o'
    pair.stock.put(path, os.urandom(100000))
    headers = pair.same(path).headers
    etag, modified = headers['etag'], headers['last-modified']
    early, _, late = dates(modified)[:3]
    for match, none, since, until in itertools.product(
            (None, etag, OTHER), (None, etag, OTHER), (None, early, late),
            (None, early, late)):
        given = {'If_Match': match, 'If_None_Match': none,
                 'If_Modified_Since': since, 'If_Unmodified_Since': until}
        pair.same(path, 'bytes=5-9', **{
            name: value for name, value in given.items() if value})


def test_the_first_read_is_one_with_conditions(pair, container):
    for number, name in enumerate(('If_Match', 'If_None_Match')):
        for tag in ('the', OTHER):
            path = f'/{container}/{number}{len(tag)}'
            etag = pair.stock.put(
                path, os.urandom(100000)).headers['etag']
            got = pair.same(path, 'bytes=5-9', **{
                name: etag if tag == 'the' else tag})
            assert module.how(got) == (
                'bypass' if got.status == 412 else 'miss')
            assert module.how(pair.same(path, 'bytes=5-9')) == 'hit'


def test_who_knows_more_than_the_cache(pair, container):
    """A client that has asked with HEAD, and names what it was told."""
    path = f'/{container}/o'
    pair.stock.put(path, b'old')
    pair.same(path)
    etag = pair.stock.put(path, b'new').headers['etag']
    assert pair.same(path, If_Match=etag).body == b'new'


def test_objects_that_change(pair, container):
    """That is what clients that read piece by piece send them for."""
    path = f'/{container}/o'
    etag = pair.cached.put(path, os.urandom(300000)).headers['etag']
    for first in range(0, 300000, 100000):
        got = pair.same(path, f'bytes={first}-{first + 99999}', If_Match=etag)
        assert got.status == 206
    pair.cached.request('POST', path, X_Object_Meta_Colour='blue')
    got = pair.same(path, 'bytes=5-9', If_Match=etag)
    assert (got.status, module.how(got)) == (206, 'hit')
    pair.cached.put(path, os.urandom(300000))
    assert pair.same(path, 'bytes=5-9', If_Match=etag).status == 412
    assert pair.same(path, 'bytes=5-9', If_None_Match=etag).status == 206
    pair.cached.delete(path)
    for tag in (etag, '*'):
        for name in ('If_Match', 'If_None_Match'):
            pair.same(path, 'bytes=5-9', **{name: tag})


def test_other_kinds_of_objects(pair, container):
    body = os.urandom(100000)
    pair.stock.put(f'/{container}/part', body)
    manifest = json.dumps([{'path': f'/{container}/part'}] * 3).encode()
    pair.stock.put(f'/{container}/slo', manifest, '?multipart-manifest=put')
    pair.stock.put(f'/{container}/dlo', X_Object_Manifest=f'{container}/part')
    pair.stock.put(f'/{container}/link', X_Symlink_Target=f'{container}/part')
    pair.stock.put(f'/{container}/empty')
    pair.stock.put(f'/{container}-ec', X_Storage_Policy='ec')
    pair.stock.put(f'/{container}-ec/o', body)
    for path in (f'/{container}/slo', f'/{container}/dlo',
                 f'/{container}/link', f'/{container}/empty',
                 f'/{container}-ec/o'):
        check_all(pair, path, RANGES[1:2], hits=False)


@pytest.mark.parametrize('proxy', (
    module.LEFT_OF_CRYPTO, module.RIGHT_OF_CRYPTO))
def test_encrypted_objects(caches, container, proxy):
    user = module.Pair(caches, proxy).cached
    path = f'/{container}/o'
    user.put(path, os.urandom(100000))
    etag = user.get(path).headers['etag']
    for name, value in itertools.product(
            ('If_Match', 'If_None_Match'), tags(etag)):
        options = {name: value, 'Range': 'bytes=5-9'}
        # X-Newest goes past the cache.
        expected = user.request('GET', path, X_Newest='true', **options)
        got = user.request('GET', path, **options)
        assert module.how(got) == (
            'bypass' if got.status == 412 else 'hit')
        assert (got.status, got.body) == (expected.status, expected.body)
        assert module.plain(got) == module.plain(expected)


def test_denied_all_the_same(caches, pair, container):
    path = f'/{container}/o'
    etag = pair.stock.put(path, b'secret').headers['etag']
    pair.same(path)
    reader = module.Pair(caches, user='reader')
    for name, tag in itertools.product(
            ('If_Match', 'If_None_Match'), (etag, OTHER, '*')):
        assert reader.same(path, **{name: tag}).status == 403


def test_s3(caches):
    bucket = f'bucket{os.urandom(4).hex()}'
    path = f'/{bucket}/o'
    assert module.s3(caches, f'/{bucket}', method='PUT').status == 200
    module.s3(caches, path, method='PUT', body=os.urandom(300000))
    headers = test_cache_s3.same(caches, path).headers
    for name, values in (
            ('If-Match', tags(headers['etag'])),
            ('If-None-Match', tags(headers['etag'])),
            ('If-Modified-Since', dates(headers['last-modified'])),
            ('If-Unmodified-Since', dates(headers['last-modified']))):
        for value, wanted in itertools.product(values, RANGES):
            test_cache_s3.same(caches, path, wanted, **{name: value})
    before = module.reads(caches, f'{bucket}/o')
    for _ in range(3):
        got = module.s3(caches, path, Range='bytes=5-9',
                        **{'If-Match': headers['etag']})
        assert got.status == 206
    assert module.reads(caches, f'{bucket}/o') == before
