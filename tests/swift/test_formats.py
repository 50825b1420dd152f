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

"""Batches as TAR and as multipart: what a stranger's reader gets."""

import email
import email.policy
import http.client
import io
import json
import os
import subprocess
import tarfile
import time
import urllib.parse
import uuid

import pytest

from tests.swift import api
from tests.swift import conftest
from tests.swift import s3 as s3_module

KIB = 1024
TAR = 'application/x-tar'
MANIFEST = '?multipart-manifest=put'


def ask(user, wanted, container, query='', **headers):
    """The answer to a batch, which has to be one."""
    path = '' if container is None else f'/{container}'
    response = user.request(
        'POST', path, api.lines(wanted), f'?batch-read=1{query}', **headers)
    assert response.status == 200, response
    return response


def members(body):
    """What tarfile makes of an archive that it can read but once.

    :returns: list of (name, comment, data)
    """
    found = []
    with tarfile.open(fileobj=io.BytesIO(body), mode='r|') as archive:
        for member in archive:
            assert member.isreg()
            comment = member.pax_headers.get('comment')
            found.append((
                member.name, comment and json.loads(comment),
                archive.extractfile(member).read()))
    return found


def whole(body):
    """The members of an archive that says that it is whole."""
    *found, (name, _, text) = members(body)
    assert name == '__batch_read_end__'
    return found, json.loads(text)


def parts(response):
    """What Python's reader of mail makes of a multipart message."""
    message = email.message_from_bytes(
        b'Content-Type: ' + response.headers['content-type'].encode()
        + b'\r\n\r\n' + response.body, policy=email.policy.HTTP)
    assert not message.defects
    found = message.get_payload()
    assert not any(part.defects for part in found)
    return found


def body(part):
    """The bytes of a part, which the reader has taken for text."""
    return part.get_payload(decode=True)


def test_tar(tester, container, blob):
    tester.put(f'/{container}/a/b.bin', blob)
    tester.put(f'/{container}/empty')
    found, end = whole(ask(tester, [
        {'object': 'a/b.bin'},
        {'object': 'a/b.bin', 'ranges': [[0, 9]]},
        {'object': 'a/b.bin', 'ranges': [[None, 700], [3, 3]]},
        {'object': 'a/b.bin', 'ranges': [[512, 1023]], 'id': '00.jpg'},
        {'object': 'empty'},
        {'object': 'empty', 'ranges': [[None, 9]]},
    ], container, '&format=tar').body)
    size = len(blob)
    assert [(name, data) for name, _, data in found] == [
        ('a/b.bin', blob), ('a/b.bin@0-9', blob[:10]),
        (f'a/b.bin@{size - 700}-{size - 1}+1', blob[-700:] + blob[3:4]),
        ('00.jpg', blob[512:1024]), ('empty', b''), ('empty@0-', b'')]
    etag = tester.get(f'/{container}/a/b.bin').headers['etag']
    assert found[2][1] == {
        'entry': 2, 'status': 206, 'etag': etag, 'size': size,
        'parts': [[size - 700, 700], [3, 1]]}
    assert found[3][1]['id'] == '00.jpg'
    assert end == {'entries': 6, 'bytes': size + 10 + 701 + 512, 'failed': 0}


def test_tar_tells_when_objects_were_changed(tester, container):
    tester.put(f'/{container}/o', b'x')
    stamp = tester.get(f'/{container}/o').headers['x-timestamp']
    tester.put(f'/{container}/slo', json.dumps(
        [{'path': f'/{container}/o'}]).encode(), MANIFEST)
    of_slo = tester.get(f'/{container}/slo').headers['x-timestamp']
    response = ask(tester, [{'object': 'o'}, {'object': 'slo'}], container,
                   '&format=tar')
    with tarfile.open(fileobj=io.BytesIO(response.body)) as archive:
        assert [member.mtime for member in archive][:2] == [
            int(float(stamp)), int(float(of_slo))]


NAMES = {
    '../../x': '__/__/x', '/etc/passwd': 'etc/passwd', 'a//b/': 'a/b',
    './a': '_/a', '..': '__', 'ü-名前-🎉': 'ü-名前-🎉', 'new\nline': 'new\nline',
    'o' * 101: 'o' * 101, 'd/' * 200 + 'x': 'd/' * 200 + 'x',
    'l' * 1024: 'l' * 1024, '__batch_read_end__': '___batch_read_end__',
    '///': 'entry-11', ' ': ' ', 'back\\slash': 'back\\slash'}


def test_names_in_tar(tester, container):
    for name in NAMES:
        tester.put(f'/{container}/{name}', name.encode())
    found, _ = whole(ask(
        tester, [{'object': name} for name in NAMES], container,
        '&format=tar').body)
    assert [item[0] for item in found] == list(NAMES.values())
    assert [item[2].decode() for item in found] == list(NAMES)


def test_names_once(tester, container):
    tester.put(f'/{container}/o', b'0123456789')
    found, _ = whole(ask(tester, [
        {'object': 'o'}, {'object': 'o'}, {'object': 'o', 'id': 'o~3'},
        {'object': 'o'}, {'object': 'o', 'id': '../nul\0'},
        {'object': 'o', 'id': '\ud800'}, {'object': 'o', 'id': ''}],
        container, '&format=tar').body)
    assert [item[0] for item in found] == [
        'o', 'o~1', 'o~3', 'o~3~3', '__/nul_', '?', 'entry-6']
    response = ask(tester, [{'container': container, 'object': 'o'}], None,
                   '&format=tar')
    assert whole(response.body)[0][0][0] == f'{container}/o'


def test_gnu_tar(tester, container, blob, tmp_path):
    tester.put(f'/{container}/dir/o', blob)
    response = ask(tester, [
        {'object': 'dir/o'}, {'object': 'dir/o', 'id': '/../ümlaut'},
        {'object': 'dir/o', 'id': 'd/' * 100 + 'x', 'ranges': [[1, 600]]},
        {'object': 'none'}], container, '&format=tar')
    done = subprocess.run(
        ['tar', '-xvf', '-', '-C', str(tmp_path)], input=response.body,
        capture_output=True, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
    # No warning either.
    assert (done.returncode, done.stderr) == (0, b'')
    assert (tmp_path / 'dir/o').read_bytes() == blob
    assert (tmp_path / '__/ümlaut').read_bytes() == blob
    assert (tmp_path / ('d/' * 100) / 'x').read_bytes() == blob[1:601]
    end = json.loads((tmp_path / '__batch_read_end__').read_bytes())
    assert (end['entries'], end['failed']) == (4, 1)
    error = json.loads((tmp_path / '__batch_read_error_3__').read_bytes())
    assert error == {'entry': 3, 'status': 404, 'reason': 'Not Found'}


REFUSED = [
    ({'object': 'none'}, 404),
    ({'object': 'o', 'ranges': [[9999, None]]}, 416),
    ({'object': 'o', 'etag': 'x'}, 412), ({'object': 'o', 'what': 1}, 400),
    ({'object': 1, 'id': 'wrong'}, 400), ({'object': 'nul\0'}, 412)]


def test_refusals_in_tar(tester, container):
    tester.put(f'/{container}/o', b'0123456789')
    good = ({'object': 'o'}, 200)
    wanted = [good, *REFUSED, good]
    found, end = whole(ask(
        tester, [item for item, _ in wanted], container,
        '&format=tar').body)
    assert found[0][2] == found[-1][2] == b'0123456789'
    assert end == {'entries': 8, 'bytes': 20, 'failed': len(REFUSED)}
    for number, (item, status) in enumerate(REFUSED, 1):
        name, comment, text = found[number]
        assert (name, comment) == (f'__batch_read_error_{number}__', None)
        told = json.loads(text)
        assert (told['entry'], told['status']) == (number, status)
        assert told['reason'] and told.get('id') == item.get('id')


def test_as_webdataset_reads(tester, container):
    """Samples are grouped by what comes before the first dot of a name."""
    for number in range(3):
        tester.put(f'/{container}/{number}', b'jpg%d+cls%d' % (
            number, number))
    wanted = []
    for number in range(3):
        wanted += [
            {'object': f'{number}', 'ranges': [[0, 3]],
             'id': f'{number:06}.jpg'},
            {'object': f'{number}', 'ranges': [[5, 8]],
             'id': f'{number:06}.cls'}]
    wanted.insert(2, {'object': 'none', 'id': 'none.jpg'})
    samples = {}
    response = ask(tester, wanted, container, '&format=tar')
    for name, _, data in members(response.body):
        if name.startswith('__') and name.endswith('__'):
            continue
        key, _, kind = name.partition('.')
        samples.setdefault(key, {})[kind] = data
    assert samples == {f'{number:06}': {
        'jpg': b'jpg%d' % number, 'cls': b'cls%d' % number}
        for number in range(3)}


@pytest.mark.parametrize('kind', ['multipart', 'byteranges'])
def test_multipart(tester, container, blob, kind):
    tester.put(f'/{container}/a b', blob, Content_Type='text/ü'.encode())
    tester.put(f'/{container}/o', b'--\r\n\r\n--', Content_Type='text/plain')
    tester.put(f'/{container}/empty', b'', Content_Type='image/png')
    response = ask(tester, [
        {'object': 'a b', 'ranges': [[0, 9], [9, 9]], 'id': '1\r\nX: ü'},
        {'object': 'o'}, {'object': 'none'}, {'object': 'empty'}],
        container, f'&format={kind}')
    subtype = {'multipart': 'mixed'}.get(kind, kind)
    assert response.headers['content-type'].startswith(
        f'multipart/{subtype}; boundary=')
    found = parts(response)
    assert [body(part) for part in found[:3]] == [
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
    told = json.loads(body(found[3]))
    assert told == {'entry': 2, 'status': 404, 'reason': 'Not Found'}
    assert body(found[4]) == b''
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
        response = ask(tester, [{'object': 'o'}], container, query,
                       Accept=accept)
        assert response.headers['content-type'].partition(';')[0] == expected
    for accept, query, status in (
            ('text/html', '', 406), ('nonsense', '', 400),
            ('*/*', '&format=zip', 400), ('*/*', '&format=', 400)):
        response = tester.request(
            'POST', f'/{container}', b'{"object":"o"}\n',
            f'?batch-read=1{query}', Accept=accept)
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
    found, end = whole(ask(encrypting, wanted, None, '&format=tar').body)
    assert [data for _, _, data in found] == expected
    assert end['failed'] == 0
    response = ask(encrypting, wanted, None, '&format=multipart')
    got = [b''] * len(wanted)
    for part in parts(response):
        got[int(part['X-Batch-Entry'])] += body(part)
    assert got == expected


def test_rights(swift, tester, container):
    tester.put(f'/{container}/o', b'secret')
    reader = api.Api(swift, user='reader')
    response = reader.request(
        'POST', f'/{container}', b'{"object":"o"}\n',
        '?batch-read=1&format=tar', account=tester.account)
    assert response.status == 403
    tester.put(f'/{container}-open', X_Container_Read='test:reader')
    tester.put(f'/{container}-open/o', b'open')
    found, _ = whole(reader.request(
        'POST', '', api.lines([
            {'container': name, 'object': 'o'}
            for name in (container, f'{container}-open')]),
        '?batch-read=1&format=tar', account=tester.account).body)
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
        found, _ = whole(response.body)
        assert [item[::2] for item in found] == [('0.bin', blob[:100])]
    response = user.request(
        'POST', f'/{container}', api.lines(wanted),
        {'batch-read': '1', 'format': 'multipart'})
    part, = parts(response)
    assert body(part) == blob[:100]
    response = user.request(
        'POST', f'/{container}', api.lines(wanted),
        {'batch-read': '1', 'format': 'zip'})
    assert response.status == 400 and b'InvalidRequest' in response.body


def test_too_many_bytes(tester, container):
    """What does not fit any more is refused, as in frames."""
    block = os.urandom(1024 * KIB)
    tester.put(f'/{container}/o', block * 40)
    response = ask(tester, [{'object': 'o'}] * 3, container, '&format=tar')
    found, end = whole(response.body)
    assert [len(data) for _, _, data in found[:2]] == [40 * 1024 * KIB] * 2
    assert json.loads(found[2][2])['status'] == 413
    assert end['failed'] == 1


@pytest.mark.parametrize('kind', ['tar', 'multipart'])
def test_a_damaged_object_cuts_the_answer(swift, tester, container, kind):
    """After the beginning of an entry there is no way back."""
    from tests.swift import disks

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
            members(received)
    else:
        boundary = response.headers['content-type'].partition('=')[2]
        assert f'--{boundary}--'.encode() not in received


def test_a_client_that_goes_away(swift, tester, container):
    tester.put(f'/{container}/o', os.urandom(2048 * KIB))
    for _ in range(conftest.MAX_BATCHES + 2):
        connection = tester.connect()
        connection.request(
            'POST', f'{tester.account}/{container}?batch-read=1&format=tar',
            api.lines([{'object': 'o'}] * 40), {'X-Auth-Token': tester.token})
        connection.getresponse().read(100 * KIB)
        connection.close()
        time.sleep(0.05)
    deadline = time.monotonic() + 20
    while True:
        response = tester.request(
            'POST', f'/{container}', b'{"object":"o"}', '?batch-read=1')
        if response.status == 200:
            break
        assert response.status == 503 and time.monotonic() < deadline
        time.sleep(0.2)


def test_a_client_that_does_not_read(swift, tester, container):
    """Its answer is cut; it must not end as if it were whole."""
    tester.put(f'/{container}/o', os.urandom(2048 * KIB))
    proxy, swift.settings.proxy = swift.settings.proxy, {
        **swift.settings.proxy, 'client_timeout': 1}
    try:
        swift.stop('proxy', seconds=0)
        swift.start('proxy')
        connection = tester.connect()
        connection.request(
            'POST', f'{tester.account}/{container}?batch-read=1&format=tar',
            api.lines([{'object': 'o'}] * 40), {'X-Auth-Token': tester.token})
        response = connection.getresponse()
        response.read(100 * KIB)
        time.sleep(4)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        connection.close()
    finally:
        swift.settings.proxy = proxy
        swift.stop('proxy', seconds=0)
        swift.start('proxy')
