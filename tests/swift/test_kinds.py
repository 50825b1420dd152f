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

"""Objects that are not simply files on three disks."""

import json
import os

import pytest

from tests.swift import api
from tests.swift import caches
from tests.swift import disks

RANGES = [[0, 9], [100000, 180000], [None, 77], [5, 5], [1000000, None]]


def compare(user, container, name, wanted=RANGES):
    """A batch gives what ordinary GETs give.

    :returns: what the batch gave
    """
    got, = user.batch([{'object': name, 'ranges': wanted}], container)
    each = user.batch(
        [{'object': name, 'ranges': [item]} for item in wanted]
        + [{'object': name}], container)
    expected = [user.get(f'/{container}/{name}', item) for item in wanted]
    expected.append(user.get(f'/{container}/{name}'))
    assert [one.status for one in each] == [
        response.status for response in expected]
    for one, response in zip(each, expected):
        if response.status in (200, 206):
            assert one.data == [response.body]
            assert one.meta['etag'] == response.headers['etag'].strip('"')
    if all(response.status == 206 for response in expected[:-1]):
        assert got.data == [response.body for response in expected[:-1]]
    else:
        assert got.status not in (200, 206)
    return each


@pytest.fixture
def segments(tester, container, blob):
    """Segments in a container of their own.

    :returns: their container's name
    """
    name = f'{container}-segments'
    tester.put(f'/{name}')
    for number in range(4):
        tester.put(f'/{name}/s/{number}', blob[number * 300000:][:300000])
    return name


def test_slo(tester, container, segments, blob):
    manifest = json.dumps([{'path': f'/{segments}/s/{number}'}
                           for number in range(4)]).encode()
    tester.put(f'/{container}/slo', manifest, '?multipart-manifest=put')
    for _ in range(2):  # It is remembered that it is none for the disks.
        found = compare(tester, container, 'slo')
        assert found[-1].data == [blob]
    # The batch's query is not that of the reads.
    response = tester.post_batch(
        [{'object': 'slo'}], container, '&multipart-manifest=get')
    assert blob[:100] in response.body
    etag = found[-1].meta['etag']
    found = tester.batch([
        {'object': 'slo', 'ranges': [[0, 1]], 'etag': etag},
        {'object': 'slo', 'ranges': [[0, 1]], 'etag': '0' * 32}], container)
    assert [got.status for got in found] == [206, 412]
    tester.delete(f'/{segments}/s/2')
    got, = tester.batch([{'object': 'slo', 'ranges': [[0, 9]]}], container)
    assert got.data == [blob[:10]]
    got, = tester.batch(
        [{'object': 'slo', 'ranges': [[650000, 650009]]}], container)
    assert got.status not in (200, 206) or got.aborted


def test_dlo(tester, container, segments, blob):
    tester.put(f'/{container}/dlo', X_Object_Manifest=f'{segments}/s/')
    assert compare(tester, container, 'dlo')[-1].data == [blob]


def test_symlinks(tester, container, blob):
    tester.put(f'/{container}/target', blob)
    tester.put(f'/{container}/link', X_Symlink_Target=f'{container}/target')
    tester.put(f'/{container}/broken', X_Symlink_Target=f'{container}/none')
    assert compare(tester, container, 'link')[-1].data == [blob]
    assert compare(tester, container, 'broken')[-1].status == 404


def test_symlink_to_a_forbidden_container(swift, tester, container):
    tester.put(f'/{container}/target', b'secret')
    tester.put(f'/{container}-open', X_Container_Read='test:reader')
    tester.put(f'/{container}-open/link',
               X_Symlink_Target=f'{container}/target')
    reader = api.Api(swift, user='reader')
    assert reader.get(f'/{container}-open/link').status == 403
    got, = reader.batch([{'object': 'link'}], f'{container}-open')
    assert got.status == 403


def test_erasure_coding(tester, ec_container, blob):
    tester.put(f'/{ec_container}/o', blob)
    assert compare(tester, ec_container, 'o')[-1].data == [blob]
    assert compare(tester, ec_container, 'none')[-1].status == 404


def test_policies_in_one_batch(tester, container, ec_container):
    tester.put(f'/{container}/o', b'replicated')
    tester.put(f'/{ec_container}/o', b'coded')
    found = tester.batch([
        {'container': name, 'object': 'o'}
        for name in (container, ec_container) * 20])
    assert [got.data for got in found] == [[b'replicated'], [b'coded']] * 20


def test_encryption(swift, encrypting, container, blob):
    encrypting.put(f'/{container}/o', blob)
    replicas = disks.directories(swift, container, 'o')
    for path in replicas.values():
        for file in path.glob('*.data'):
            assert blob[:64] not in file.read_bytes()
    for _ in range(2):
        assert compare(encrypting, container, 'o')[-1].data == [blob]


def test_encrypted_empty_object(encrypting, container):
    encrypting.put(f'/{container}/empty')
    found = encrypting.batch([
        {'object': 'empty'}, {'object': 'empty', 'ranges': [[None, 5]]},
        {'object': 'empty', 'ranges': [[0, None]]}], container)
    assert [got.status for got in found] == [200, 206, 416]


def test_metadata_of_clients_changes_nothing(tester, container, blob):
    tester.put(f'/{container}/o', blob, X_Object_Meta_Color='blue')
    response = tester.request(
        'POST', f'/{container}/o', X_Object_Meta_Color='red')
    assert response.status == 202
    assert compare(tester, container, 'o')[-1].data == [blob]


def test_versions(tester, container):
    response = tester.request(
        'POST', f'/{container}', X_Versions_Enabled='true')
    assert response.status == 204
    for body in (b'first', b'second'):
        tester.put(f'/{container}/o', body)
    compare(tester, container, 'o', [[1, 3]])
    assert tester.batch([{'object': 'o'}], container)[0].data == [b'second']
    tester.delete(f'/{container}/o')
    assert tester.batch([{'object': 'o'}], container)[0].status == 404


def test_deleted(tester, container, blob):
    tester.put(f'/{container}/o', blob)
    tester.delete(f'/{container}/o')
    found = tester.batch([{'object': 'o'}] * 3, container)
    assert [got.status for got in found] == [404] * 3
    tester.put(f'/{container}/o', b'again')
    assert tester.batch([{'object': 'o'}], container)[0].data == [b'again']


def test_expired(tester, container, blob):
    tester.put(f'/{container}/o', blob, X_Delete_After='5')
    assert tester.batch([{'object': 'o'}], container)[0].data == [blob]
    caches.until(lambda: tester.get(f'/{container}/o').status == 404)
    assert tester.batch([{'object': 'o'}], container)[0].status == 404


def test_overwritten(tester, container):
    for number in range(5):
        body = os.urandom(1000 + number)
        tester.put(f'/{container}/o', body)
        found = tester.batch(
            [{'object': 'o', 'ranges': [[0, 499]]},
             {'object': 'o', 'ranges': [[500, None]]}], container)
        assert [got.data[0] for got in found] == [body[:500], body[500:]]
