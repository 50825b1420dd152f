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

"""Nothing is read that an ordinary GET would not give."""

import pytest

from tests.swift import api


@pytest.fixture
def reader(swift):
    """A user of the same account without rights of its own."""
    return api.Api(swift, user='reader')


@pytest.fixture
def stranger(swift):
    """The owner of another account."""
    return api.Api(swift, 'other', 'stranger')


@pytest.fixture
def secret(tester, container):
    tester.put(f'/{container}/o', b'secret')
    return container


def acl(tester, container, value):
    response = tester.request(
        'POST', f'/{container}', X_Container_Read=value)
    assert response.status == 204


def test_others_are_refused(tester, reader, stranger, secret):
    for user in (reader, stranger):
        response = user.post_batch(
            [{'object': 'o'}], secret, account=tester.account)
        assert response.status == 403
        assert b'secret' not in response.body
    response = tester.post_batch([{'object': 'o'}], secret, token=False)
    assert response.status == 401
    response = tester.post_batch(
        [{'object': 'o'}], secret, token=False, X_Auth_Token='AUTH_tkforged')
    assert response.status == 401


def test_acls_are_effective_at_once(tester, reader, secret):
    wanted = [{'object': 'o'}]
    for _ in range(3):
        acl(tester, secret, 'test:reader')
        assert reader.batch(wanted, secret)[0].data == [b'secret']
        acl(tester, secret, '')
        assert reader.post_batch(wanted, secret).status == 403


def test_public_containers(tester, stranger, secret):
    acl(tester, secret, '.r:*')
    for options in ({}, {'token': False}):
        got, = stranger.batch(
            [{'object': 'o'}], secret, account=tester.account, **options)
        assert got.data == [b'secret']


def test_referrers(tester, secret):
    acl(tester, secret, '.r:.example.com')
    wanted = [{'object': 'o'}]
    got, = tester.batch(
        wanted, secret, token=False, Referer='http://www.example.com/x')
    assert got.data == [b'secret']
    response = tester.post_batch(
        wanted, secret, token=False, Referer='http://example.org/')
    assert response.status == 401


def test_one_container_of_several(tester, reader, secret):
    tester.put(f'/{secret}-open', X_Container_Read='test:reader')
    tester.put(f'/{secret}-open/o', b'open')
    wanted = [{'container': f'{secret}-open', 'object': 'o'},
              {'container': secret, 'object': 'o'},
              {'container': secret, 'object': 'none'},
              {'container': f'{secret}-none', 'object': 'o'},
              {'container': f'{secret}-open', 'object': 'o'}]
    found = reader.batch(wanted)
    assert [got.status for got in found] == [200, 403, 403, 403, 200]
    response = reader.post_batch(wanted[1:4])
    assert response.status == 403


def test_account_acls(tester, stranger, secret):
    response = tester.request('POST', '', X_Account_Access_Control=(
        '{"read-only":["other:stranger"]}'))
    assert response.status == 204
    try:
        got, = stranger.batch(
            [{'object': 'o'}], secret, account=tester.account)
        assert got.data == [b'secret']
    finally:
        tester.request('POST', '', X_Account_Access_Control='{}')
    response = stranger.post_batch(
        [{'object': 'o'}], secret, account=tester.account)
    assert response.status == 403


def test_names_do_not_lead_to_other_containers(tester, reader, secret):
    tester.put(f'/{secret}-open', X_Container_Read='test:reader')
    found = reader.batch([
        {'object': f'../{secret}/o'}, {'object': f'/../{secret}/o'},
        {'object': f'..%2F{secret}%2Fo'}], f'{secret}-open')
    assert [got.status for got in found] == [404] * 3


def test_slo_segments_need_rights_as_well(tester, reader, secret):
    tester.put(f'/{secret}-open', X_Container_Read='test:reader')
    tester.put(
        f'/{secret}-open/slo', api.json.dumps(
            [{'path': f'/{secret}/o'}]).encode(), '?multipart-manifest=put')
    ordinary = reader.get(f'/{secret}-open/slo')
    assert ordinary.status == 409
    got, = reader.batch([{'object': 'slo'}], f'{secret}-open')
    assert got.status == 409 and not got.data
    got, = tester.batch([{'object': 'slo'}], f'{secret}-open')
    assert got.data == [b'secret']


def test_reserved_names(tester, container):
    response = tester.request(
        'POST', f'/{container}', X_Versions_Enabled='true')
    assert response.status == 204
    tester.put(f'/{container}/o', b'first')
    for path in (f'/\0versions\0{container}', f'/{container}\0'):
        response = tester.post_batch([{'object': 'o'}], path[1:])
        assert response.status == 412
