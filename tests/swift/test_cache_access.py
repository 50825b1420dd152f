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
"""Nothing comes from the cache that Swift would refuse."""

import hashlib
import hmac
import json
import os
import time

import pytest

from tests.swift import api
from tests.swift import caches as module


@pytest.fixture
def reader(caches):
    """A user of the account without rights of its own."""
    return module.Pair(caches, user='reader')


@pytest.fixture
def stranger(caches):
    """The owner of another account."""
    return module.Pair(caches, account='other', user='stranger')


@pytest.fixture
def secret(pair):
    """A container with an object that is in the cache.

    :returns: path of the object
    """
    path = f'/{module.new_container(pair.stock)}/o'
    body = os.urandom(200000)
    pair.stock.put(path, body)
    module.warm(pair.cached, path, body)
    return path


def acl(owner, path, value):
    """Set the ACL of the container that an object is in."""
    module.set_readers(owner, path.split('/')[1], value)


def check(pair, status, path, how=None, **headers):
    for wanted in (None, 'bytes=5-9'):
        got = pair.same(path, wanted, **headers)
        assert got.status in ((200, 206) if status == 200 else (status,))
        assert how is None or module.how(got) == how
        assert status == 200 or module.how(got) in ('bypass', None)


def test_others(pair, reader, stranger, secret):
    owner = pair.stock.account
    check(reader, 403, secret)
    check(stranger, 403, secret, account=owner)
    check(pair, 401, secret, token=False)
    check(pair, 401, secret, token=False, X_Auth_Token='AUTH_tkforged')
    check(pair, 200, secret, 'hit')


@pytest.mark.parametrize('through', ('stock', 'cached'))
def test_acls_are_effective_at_once(pair, reader, stranger, secret, through):
    owner = getattr(pair, through)
    for _ in range(3):
        acl(owner, secret, 'test:reader')
        check(reader, 200, secret, 'hit')
        check(stranger, 403, secret, account=pair.stock.account)
        acl(owner, secret, 'other:stranger')
        check(reader, 403, secret)
        check(stranger, 200, secret, 'hit', account=pair.stock.account)
        acl(owner, secret, '')
        check(reader, 403, secret)
        check(stranger, 403, secret, account=pair.stock.account)


def test_public_and_referrers(pair, reader, secret):
    acl(pair.stock, secret, '.r:*')
    check(pair, 200, secret, 'hit', token=False)
    check(reader, 200, secret, 'hit')
    acl(pair.stock, secret, '.r:.example.com')
    site = {'Referer': 'http://www.example.com/x'}
    check(pair, 200, secret, 'hit', token=False, **site)
    check(pair, 401, secret, token=False, Referer='http://example.org/')
    check(pair, 401, secret, token=False)
    acl(pair.stock, secret, '.r:*,.r:-.example.com')
    check(pair, 401, secret, token=False, **site)
    check(pair, 200, secret, 'hit', token=False)
    response = pair.stock.request(
        'POST', '/' + secret.split('/')[1], X_Remove_Container_Read='x')
    assert response.status == 204
    check(pair, 401, secret, token=False)


def test_account_acls(pair, stranger, secret):
    owner = pair.stock.account
    for rights, status in (('{"read-only":["other:stranger"]}', 200),
                           ('{}', 403)):
        response = pair.stock.request(
            'POST', '', X_Account_Access_Control=rights)
        assert response.status == 204
        check(stranger, status, secret, account=owner)


def test_temporary_urls(pair, secret):
    key = os.urandom(8).hex()
    response = pair.stock.request('POST', X_Account_Meta_Temp_Url_Key=key)
    assert response.status == 204
    path = pair.stock.account + secret

    def query(expires, signed=path):
        text = f'GET\n{expires}\n{signed}'.encode()
        signature = hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
        return f'?temp_url_sig={signature}&temp_url_expires={expires}'

    later = int(time.time()) + 100
    got = pair.same(secret, 'bytes=5-9', query=query(later), token=False)
    assert (got.status, module.how(got)) == (206, 'hit')
    for wrong in (query(later - 1000), query(later, path + 'x'),
                  query(later).replace('sig=', 'sig=0')):
        got = pair.same(secret, 'bytes=5-9', query=wrong, token=False)
        assert got.status == 401


def test_segments_and_links_need_rights_as_well(pair, reader, secret):
    name = module.new_container(pair.stock)
    acl(pair.stock, f'/{name}', 'test:reader')
    pair.stock.put(f'/{name}/slo', json.dumps([{'path': secret}]).encode(),
                   '?multipart-manifest=put')
    pair.stock.put(f'/{name}/link', X_Symlink_Target=secret[1:])
    pair.stock.put(f'/{name}/dlo', X_Object_Manifest=secret[1:])
    for _ in range(2):
        for kind, status in (('slo', 409), ('link', 403), ('dlo', None)):
            assert pair.same(f'/{name}/{kind}', 'bytes=5-9').status == 206
            got = reader.same(f'/{name}/{kind}', 'bytes=5-9')
            assert got.status == (status or got.status)
            assert got.status != 206
    acl(pair.stock, secret, 'test:reader')
    for kind in ('slo', 'link'):
        assert reader.same(f'/{name}/{kind}', 'bytes=5-9').status == 206


def test_reading_for_others(pair, reader, secret):
    """What one has brought into the cache is not there for all."""
    path = secret + '-other'
    pair.stock.put(path, b'secret')
    check(reader, 403, path)
    acl(pair.stock, secret, 'test:reader')
    check(reader, 200, path)
    acl(pair.stock, secret, '')
    check(reader, 403, path)
    check(pair, 200, path, 'hit')


def test_headers_of_the_backend_are_no_use(caches, pair, reader, secret):
    for headers in ({'X_Backend_Storage_Policy_Index': '0'},
                    {'X_Backend_Allow_Reserved_Names': 'true'},
                    {'X_Backend_Ignore_Range_If_Metadata_Present': 'Etag'}):
        check(reader, 403, secret, **headers)
        check(pair, 200, secret, 'hit', **headers)


def test_object_acls_of_s3(caches, secret):
    """With s3_acl, S3 requests go past the cache."""
    owner = api.Api(caches, proxy=module.S3_ACL)
    for _ in range(2):
        got = owner.get(secret)
    assert module.how(got) == 'hit'
    bucket = f's3-acl-{time.time_ns()}'
    options = {'swift': caches, 'proxy': module.S3_ACL}
    for path, body in ((f'/{bucket}', None), (f'/{bucket}/o', b'secret')):
        got = module.s3(path=path, method='PUT', body=body, **options)
        assert got.status == 200, got
    before = module.reads(caches, f'{bucket}/o', 'GET')
    for _ in range(3):
        got = module.s3(path=f'/{bucket}/o', **options)
        assert (got.status, got.body) == (200, b'secret')
    assert module.reads(caches, f'{bucket}/o', 'GET') == before + 3
    got = module.s3(path=f'/{bucket}/o', user='reader', **options)
    assert got.status == 403
