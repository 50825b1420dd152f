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

"""Formats of batches: which one, multipart, and what holds for all."""

import http.client
import json
import os
import tarfile
import time
import urllib.parse
import uuid

import pytest

from tests.swift import api
from tests.swift import caches
from tests.swift import conftest
from tests.swift import disks
from tests.swift import output
from tests.swift import processes
from tests.swift import s3 as s3_module

KIB = 1024
TAR = 'application/x-tar'
MANIFEST = '?multipart-manifest=put'


@pytest.mark.parametrize('kind', ['multipart', 'byteranges'])
def test_multipart(tester, container, blob, kind):
    tester.put(f'/{container}/a b', blob, Content_Type='text/ü'.encode())
    tester.put(f'/{container}/o', b'--\r\n\r\n--', Content_Type='text/plain')
    tester.put(f'/{container}/empty', b'', Content_Type='image/png')
    response = output.ask(tester, [
        {'object': 'a b', 'ranges': [[0, 9], [9, 9]], 'id': '1\r\nX: ü'},
        {'object': 'o'}, {'object': 'none'}, {'object': 'empty'}],
        container, f'&format={kind}')
    subtype = {'multipart': 'mixed'}.get(kind, kind)
    assert response.headers['content-type'].startswith(
        f'multipart/{subtype}; boundary=')
    found = output.parts(response)
    assert [output.body(part) for part in found[:3]] == [
        blob[:10], blob[9:10], b'--\r\n\r\n--']
    heads = tester.get(f'/{container}/o').headers
    assert [part['Content-Range'] for part in found] == [
        f'bytes 0-9/{len(blob)}', f'bytes 9-9/{len(blob)}', 'bytes 0-7/8',
        None, None]
    assert [part['Content-Length'] for part in found[:3]] == ['10', '1', '8']
    assert [part['X-Batch-Entry'] for part in found] == list('00123')
    assert [part['X-Batch-Status'] for part in found] == [
        '206', '206', '200', '404', '200']
    assert [part['X-Batch-Part'] for part in found] == [
        '1/2', '2/2', '1/1', None, '1/1']
    assert found[0]['X-Batch-Object'] == f'{container}/a%20b'
    assert urllib.parse.unquote(found[0]['X-Batch-Id']) == '1\r\nX: ü'
    assert [part['Content-Type'] for part in found] == [
        'application/octet-stream', 'application/octet-stream', 'text/plain',
        'application/json', 'image/png']
    assert found[2]['ETag'] == f'"{heads["etag"]}"'
    assert found[2]['Last-Modified'] == heads['last-modified']
    told = json.loads(output.body(found[3]))
    assert told == {'entry': 2, 'status': 404, 'reason': 'Not Found'}
    assert output.body(found[4]) == b''
    boundary = response.headers['content-type'].partition('boundary=')[2]
    assert response.body.endswith(f'\r\n--{boundary}--\r\n'.encode())


def test_accept(tester, container):
    tester.put(f'/{container}/o', b'x')
    frames = 'application/x-swift-batch-read'
    for accept, query, expected in (
            ('*/*', '', frames), ('application/*', '', frames),
            (TAR, '', TAR), ('text/html, application/x-tar;q=0.5', '', TAR),
            ('multipart/mixed;q=0.1, application/x-tar', '', TAR),
            ('multipart/byteranges', '', 'multipart/byteranges'),
            ('multipart/*', '', 'multipart/mixed'),
            (TAR, '&format=frames', frames),
            ('text/html', '&format=tar', TAR)):
        response = output.ask(
            tester, [{'object': 'o'}], container, query, Accept=accept)
        assert response.headers['content-type'].partition(';')[0] == expected
    for accept, query, status in (
            ('text/html', '', 406), ('nonsense', '', 400),
            ('*/*', '&format=zip', 400), ('*/*', '&format=', 400)):
        response = tester.post_batch(
            [{'object': 'o'}], container, query, Accept=accept)
        assert response.status == status


def test_kinds(encrypting, tester, container, ec_container, blob):
    """Objects that are not simply files on disks."""
    tester.put(f'/{ec_container}/o', blob)
    encrypting.put(f'/{container}/secret', blob)
    tester.put(f'/{container}/part', blob, Content_Type='x/y')
    tester.put(f'/{container}/slo', json.dumps(
        [{'path': f'/{container}/part'}] * 2).encode(), MANIFEST)
    tester.put(f'/{container}/link', X_Symlink_Target=f'{container}/slo')
    wanted = [{'container': ec_container, 'object': 'o'},
              *({'container': container, 'object': name}
                for name in ('secret', 'slo', 'link'))]
    wanted = [{**item, **more} for item in wanted
              for more in ({}, {'ranges': [[5, 9000], [None, 4]]})]
    expected = [one for data in (blob, blob, blob * 2, blob * 2)
                for one in (data, data[5:9001] + data[-4:])]
    response = output.ask(encrypting, wanted, None, '&format=tar')
    found, end = output.whole(response.body)
    assert [data for _, _, data in found] == expected
    assert end['failed'] == 0
    response = output.ask(encrypting, wanted, None, '&format=multipart')
    got = [b''] * len(wanted)
    for part in output.parts(response):
        got[int(part['X-Batch-Entry'])] += output.body(part)
    assert got == expected


def test_rights(swift, tester, container):
    tester.put(f'/{container}/o', b'secret')
    reader = api.Api(swift, user='reader')
    response = reader.post_batch(
        [{'object': 'o'}], container, '&format=tar', account=tester.account)
    assert response.status == 403
    tester.put(f'/{container}-open', X_Container_Read='test:reader')
    tester.put(f'/{container}-open/o', b'open')
    found, _ = output.whole(output.ask(reader, [
        {'container': name, 'object': 'o'}
        for name in (container, f'{container}-open')],
        None, '&format=tar', account=tester.account).body)
    assert json.loads(found[0][2])['status'] == 403
    assert found[1][2] == b'open'
    assert not any(b'secret' in data for _, _, data in found)


def test_s3(swift, blob):
    user, container = s3_module.S3(swift), f'formats-{uuid.uuid4()}'
    user.request('PUT', f'/{container}')
    user.request('PUT', f'/{container}/o', blob)
    wanted = [{'object': 'o', 'ranges': [[0, 99]], 'id': '0.bin'}]
    for options in ({'params': {'batch-read': '1', 'format': 'tar'}},
                    {'params': {'batch-read': '1'}, 'Accept': TAR}):
        response = user.request(
            'POST', f'/{container}', api.lines(wanted), **options)
        assert response.headers['content-type'] == TAR
        found, _ = output.whole(response.body)
        assert [item[::2] for item in found] == [('0.bin', blob[:100])]
    response = user.request(
        'POST', f'/{container}', api.lines(wanted),
        {'batch-read': '1', 'format': 'multipart'})
    part, = output.parts(response)
    assert output.body(part) == blob[:100]
    response = user.request(
        'POST', f'/{container}', api.lines(wanted),
        {'batch-read': '1', 'format': 'zip'})
    assert response.status == 400 and b'InvalidRequest' in response.body


def test_too_many_bytes(tester, container):
    """What does not fit any more is refused, as in frames."""
    block = os.urandom(1024 * KIB)
    tester.put(f'/{container}/o', block * 40)
    response = output.ask(
        tester, [{'object': 'o'}] * 3, container, '&format=tar')
    found, end = output.whole(response.body)
    assert [len(data) for _, _, data in found[:2]] == [40 * 1024 * KIB] * 2
    assert json.loads(found[2][2])['status'] == 413
    assert end['failed'] == 1


@pytest.mark.parametrize('kind', ['tar', 'multipart'])
def test_a_damaged_object_cuts_the_answer(swift, tester, container, kind):
    """After the beginning of an entry there is no way back."""
    tester.put(f'/{container}/o', os.urandom(3 * 1024 * KIB))
    tester.put(f'/{container}/good', b'good')
    for path in disks.directories(swift, container, 'o').values():
        for file in path.glob('*.data'):
            with file.open('r+b') as stream:
                stream.seek(2 * 1024 * KIB)
                stream.write(b'wrong')
    connection = tester.connect()
    connection.request(
        'POST', f'{tester.account}/{container}?batch-read=1&format={kind}',
        api.lines([{'object': name} for name in ('good', 'o', 'good')]),
        {'X-Auth-Token': tester.token})
    response = connection.getresponse()
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as info:
        response.read()
    connection.close()
    received = info.value.partial
    assert b'good' in received[:4 * KIB]
    if kind == 'tar':
        with pytest.raises(tarfile.ReadError):
            output.members(received)
    else:
        boundary = response.headers['content-type'].partition('=')[2]
        assert f'--{boundary}--'.encode() not in received


def begun_tar(tester, container):
    """More than the sockets hold, of which the client has read but little."""
    return tester.begun(
        'POST', f'/{container}', api.lines([{'object': 'o'}] * 40),
        '?batch-read=1&format=tar')


def test_a_client_that_goes_away(swift, tester, container):
    tester.put(f'/{container}/o', os.urandom(2048 * KIB))
    for _ in range(conftest.MAX_BATCHES + 2):
        with begun_tar(tester, container):
            pass
    caches.until(lambda: tester.post_batch(
        [{'object': 'o'}], container).status == 200)


def test_a_client_that_does_not_read(swift, tester, container):
    """Its answer is cut; it must not end as if it were whole."""
    tester.put(f'/{container}/o', os.urandom(2048 * KIB))
    with processes.configured(
            swift, proxy={**swift.settings.proxy, 'client_timeout': 1}):
        with begun_tar(tester, container) as rest:
            time.sleep(4)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                rest()
