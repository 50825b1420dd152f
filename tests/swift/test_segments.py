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

"""Static large objects, read by their segments."""

import email
import email.policy
import io
import json
import os
import tarfile

import pytest

from tests.swift import api
from tests.swift import large
from tests.swift import s3 as s3_module

KIB = 1024


@pytest.fixture
def by_segments(swift):
    """Fails if something was read the ordinary way."""
    found = large.Reads(swift)
    yield
    found.check()


def test_ranges(tester, container, by_segments):
    blob = large.upload(tester, container, 'o', large.random_bodies())
    edge = 400 * KIB
    wanted = [
        {'object': 'o'}, {'object': 'o', 'ranges': [[0, 0]]},
        # In the byte that is a segment, and over it.
        {'object': 'o', 'ranges': [[edge, edge]]},
        {'object': 'o', 'ranges': [[edge - 1, edge + 1]]},
        {'object': 'o', 'ranges': [[edge + 1, edge + 5], [3, 9], [4, 9]]},
        *({'object': 'o', 'ranges': [item]}
          for item in large.some_ranges(len(blob), 40))]
    for _ in range(2):
        large.check({'o': blob}, wanted, tester.batch(wanted, container))


def test_suffixes_and_ends(tester, container, by_segments):
    blob = large.upload(tester, container, 'o', large.random_bodies())
    found = tester.batch([
        {'object': 'o', 'ranges': [[None, 70000]]},
        {'object': 'o', 'ranges': [[None, 10 ** 9]]},
        {'object': 'o', 'ranges': [[99 * KIB, None]]},
        {'object': 'o', 'ranges': [[len(blob) - 1, 10 ** 9]]}], container)
    assert [got.data for got in found] == [
        [blob[-70000:]], [blob], [blob[99 * KIB:]], [blob[-1:]]]


def test_beyond_the_end(tester, container):
    blob = large.upload(tester, container, 'o', large.random_bodies())
    found = tester.batch([
        {'object': 'o', 'ranges': [[0, 5], [len(blob), None]]},
        {'object': 'o', 'ranges': [[0, 5]]}], container)
    assert [got.status for got in found] == [416, 206]


def test_many_objects_among_others(swift, tester, container):
    """Once one is found, others are looked for, and all are from then on."""
    blobs, wanted = {}, []
    for number in range(16):
        name = f'o{number}'
        if number % 3:
            blobs[name] = large.upload(
                tester, container, name, large.random_bodies())
        else:
            blobs[name] = os.urandom(sum(large.SIZES))
            tester.put(f'/{container}/{name}', blobs[name])
    for number in range(200):
        item, = large.some_ranges(sum(large.SIZES), 1, number)
        wanted.append({'object': f'o{number * 7 % 16}', 'ranges': [item]})
    for _ in range(2):
        reads = large.Reads(swift)
        large.check(blobs, wanted, tester.batch(wanted, container))
        reads.check()


def test_ranges_of_segments(tester, container, by_segments):
    """Large objects that have but some bytes of an object."""
    body = os.urandom(1000)
    tester.put(f'/{container}/body', body)
    large.write(tester, container, 'o', [
        {'path': f'/{container}/body', 'range': '100-299'},
        {'path': f'/{container}/body'},
        {'path': f'/{container}/body', 'range': '-5'},
        {'path': f'/{container}/body', 'range': '990-'}])
    blob = body[100:300] + body + body[-5:] + body[990:]
    wanted = [{'object': 'o'}, *(
        {'object': 'o', 'ranges': [item]}
        for item in large.some_ranges(len(blob), 30))]
    large.check({'o': blob}, wanted, tester.batch(wanted, container))


def test_etags(tester, container):
    large.upload(tester, container, 'o', large.random_bodies())
    etag = tester.get(f'/{container}/o').headers['etag'].strip('"')
    found = tester.batch([
        {'object': 'o', 'ranges': [[0, 9]], 'id': 'x', **condition}
        for condition in ({}, {'etag': etag}, {'etag': '*'},
                          {'etag': '0' * 32})], container)
    assert [got.status for got in found] == [206, 206, 206, 412]
    assert {got.meta['etag'] for got in found[:3]} == {etag}
    assert {got.meta['id'] for got in found} == {'x'}


@pytest.mark.parametrize('kind', ['sub_slo', 'data', 'dlo'])
def test_what_is_left_to_swift(swift, tester, container, kind):
    blob = large.upload(tester, container, 'inner', large.random_bodies())
    if kind == 'dlo':
        tester.put(f'/{container}/o',
                   X_Object_Manifest=f'{container}-segments/inner/')
    elif kind == 'data':
        large.write(tester, container, 'o', [
            {'data': 'YWJj'}, {'path': f'/{container}-segments/inner/1'}])
        blob = b'abc' + blob[100 * KIB:400 * KIB]
    else:
        large.write(tester, container, 'o', [{'path': f'/{container}/inner'}])
    wanted = [{'object': 'o'}, *({'object': 'o', 'ranges': [item]}
                                 for item in large.some_ranges(len(blob), 3))]
    before = large.ordinary(swift)
    for _ in range(2):
        large.check({'o': blob}, wanted, tester.batch(wanted, container))
    assert large.ordinary(swift) == before + 2 * len(wanted)


def test_overwritten(swift, tester, container):
    """By another, by a plain object and by another again."""
    reads = large.Reads(swift)
    for number in range(4):
        bodies = large.random_bodies()
        if number == 2:
            blob = b''.join(bodies)
            tester.put(f'/{container}/o', blob)
        else:
            blob = large.upload(
                tester, container, 'o', bodies, f'{container}-{number}')
        wanted = [{'object': 'o', 'ranges': [item]}
                  for item in large.some_ranges(len(blob), 10)]
        large.check({'o': blob}, wanted, tester.batch(wanted, container))
    reads.check()
    tester.delete(f'/{container}/o')
    got, = tester.batch([{'object': 'o'}], container)
    assert got.status == 404


@pytest.mark.parametrize('change', ['delete', 'overwrite'])
def test_segments_that_are_not_what_they_were(tester, container, change):
    """What Swift says of them is said here: the rest can be read."""
    blob = large.upload(tester, container, 'o', large.random_bodies())
    wanted = [{'object': 'o', 'ranges': [[0, 9]]},
              {'object': 'o', 'ranges': [[200 * KIB, 200 * KIB + 9]]},
              {'object': 'o', 'ranges': [[90 * KIB, 110 * KIB]]},
              {'object': 'o', 'ranges': [[len(blob) - 5, None]]}]
    tester.batch(wanted, container)
    if change == 'delete':
        tester.delete(f'/{container}-segments/o/1')
    else:
        tester.put(f'/{container}-segments/o/1', os.urandom(large.SIZES[1]))
    stock = [tester.get(f'/{container}/o', item['ranges'][0])
             for item in (wanted[0], wanted[1], wanted[3])]
    assert [response.status for response in stock] == [206, 409, 206]
    first, second, over, last = tester.batch(wanted, container)
    assert (first.status, first.data) == (206, [blob[:10]])
    assert second.status == 409
    # Swift sends what there is, and breaks off.
    assert over.aborted
    assert (last.status, last.data) == (206, [blob[-5:]])


def test_a_segment_that_changes_while_it_is_read(tester, container):
    """What has come of the large object is void then."""
    bodies = [os.urandom(6000 * KIB) for _ in range(6)]
    large.upload(tester, container, 'o', bodies)
    wanted = [{'object': 'o'}]
    tester.batch([{'object': 'o', 'ranges': [[0, 1]]}], container)
    with tester.begun_batch(wanted, container) as rest:
        tester.put(f'/{container}-segments/o/5', os.urandom(6000 * KIB))
        got, = api.decode(rest(), 1)
    # The object server may have opened it before.
    assert got.aborted or got.data == [b''.join(bodies)]


def test_rights_of_the_segments(swift, tester, container):
    """Who may not read the segments gets what Swift gives: nothing."""
    blob = large.upload(tester, container, 'o', large.random_bodies())
    tester.request('POST', f'/{container}', X_Container_Read='test:reader')
    reader = api.Api(swift, user='reader')
    wanted = [{'object': 'o', 'ranges': [[5, 9]]}, {'object': 'o'}]
    for who in (tester, reader):  # It is known by now what is in it.
        found = who.batch(wanted, container)
    stock = reader.get(f'/{container}/o', [5, 9])
    assert stock.status == 409
    assert [got.status for got in found] == [409, 409]
    tester.request('POST', f'/{container}-segments',
                   X_Container_Read='test:reader')
    found = reader.batch(wanted, container)
    assert [got.data for got in found] == [[blob[5:10]], [blob]]
    tester.request('POST', f'/{container}-segments', X_Container_Read='')
    found = reader.batch(wanted, container)
    assert [got.status for got in found] == [409, 409]


def test_policies_of_the_segments(swift, tester, container, ec_container):
    """Erasure-coded segments of a replicated manifest."""
    blob = large.upload(
        tester, container, 'o', large.random_bodies(), ec_container)
    wanted = [{'object': 'o', 'ranges': [item]}
              for item in large.some_ranges(len(blob), 5)]
    large.check({'o': blob}, wanted, tester.batch(wanted, container))


def test_encryption(encrypting, container):
    blob = large.upload(encrypting, container, 'o', large.random_bodies())
    wanted = [{'object': 'o', 'ranges': [item]}
              for item in large.some_ranges(len(blob), 5)]
    for _ in range(2):
        large.check({'o': blob}, wanted, encrypting.batch(wanted, container))


def test_links_to_it_and_in_it(tester, container):
    blob = large.upload(tester, container, 'o', large.random_bodies())
    tester.put(f'/{container}/link', X_Symlink_Target=f'{container}/o')
    tester.put(f'/{container}/piece',
               X_Symlink_Target=f'{container}-segments/o/1')
    large.write(tester, container, 'linked', [
        {'path': f'/{container}/piece'},
        {'path': f'/{container}-segments/o/0'}])
    blobs = {'link': blob, 'linked': blob[100 * KIB:400 * KIB]
             + blob[:100 * KIB]}
    wanted = [{'object': name, 'ranges': [item]}
              for name in blobs for item in large.some_ranges(300 * KIB, 4)]
    for _ in range(2):
        large.check(blobs, wanted, tester.batch(wanted, container))


def test_limits_of_bytes(swift, tester, container, by_segments):
    """The batch ends where it is too much, as with any object."""
    limit = 100 * KIB * KIB
    body = os.urandom(10 * KIB * KIB)
    blob = large.upload(tester, container, 'o', [body] * 3)
    found = tester.batch([{'object': 'o'}] * 5, container)
    assert [got.status for got in found] == [200] * 3 + [413] * 2
    assert limit // len(blob) == 3
    assert found[2].data == [blob]


def test_many_segments_of_one_entry(tester, container, by_segments):
    """Swift itself would read but one a second of such small ones."""
    blob = large.upload(
        tester, container, 'o', [b'%05d' % n for n in range(50)])
    found = tester.batch([{'object': 'o'}, {
        'object': 'o', 'ranges': [[3, 200]]}], container)
    assert [got.data for got in found] == [[blob], [blob[3:201]]]


def test_archive(tester, container, by_segments):
    blob = large.upload(tester, container, 'o', large.random_bodies())
    body = api.lines([{'object': 'o', 'ranges': [[5, 350000]]},
                      {'object': 'o', 'id': 'whole'}])
    response = tester.request(
        'POST', f'/{container}', body, '?batch-read=1&format=tar')
    archive = tarfile.open(fileobj=io.BytesIO(response.body))
    members = archive.getmembers()
    assert [archive.extractfile(member).read() for member in members[:2]] == [
        blob[5:350001], blob]
    written = float(tester.request(
        'HEAD', f'/{container}/o').headers['x-timestamp'])
    assert [member.mtime for member in members[:2]] == [int(written)] * 2


def test_multipart(tester, container, by_segments):
    segments = f'{container}-segments'
    body = os.urandom(1000)
    tester.put(f'/{segments}')
    tester.put(f'/{segments}/1', body)
    tester.put(f'/{container}/o', json.dumps(
        [{'path': f'/{segments}/1'}] * 2).encode(),
        '?multipart-manifest=put', Content_Type='image/x-test')
    response = tester.request(
        'POST', f'/{container}', api.lines([{'object': 'o'}]),
        '?batch-read=1&format=multipart')
    message = email.message_from_bytes(
        b'Content-Type: ' + response.headers['content-type'].encode()
        + b'\r\n\r\n' + response.body, policy=email.policy.HTTP)
    part, *_ = message.iter_parts()
    assert part.get_content_type() == 'image/x-test'
    assert part.get_payload(decode=True) == body * 2
    assert part['etag'] == tester.get(f'/{container}/o').headers['etag']


def test_uploads_in_parts_of_s3(swift, tester, container, by_segments):
    """Their segments are in a container next to the bucket."""
    s3 = s3_module.S3(swift)
    path = f'/{container}/o'
    started = s3.request('POST', path, b'', {'uploads': ''})
    upload_id = started.body.decode().partition('<UploadId>')[2].partition(
        '</UploadId>')[0]
    bodies = [os.urandom(5 * KIB * KIB), os.urandom(1000)]
    parts = ''
    for number, body in enumerate(bodies, 1):
        response = s3.request('PUT', path, body, {
            'partNumber': str(number), 'uploadId': upload_id})
        parts += (f'<Part><PartNumber>{number}</PartNumber>'
                  f'<ETag>{response.headers["etag"]}</ETag></Part>')
    response = s3.request('POST', path, (
        f'<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>'
    ).encode(), {'uploadId': upload_id})
    assert response.status == 200, response
    blob = b''.join(bodies)
    wanted = [{'object': 'o', 'ranges': [item]} for item in (
        [0, 9], [5 * KIB * KIB - 5, 5 * KIB * KIB + 5], [len(blob) - 9, None])]
    expected = [[blob[:10]], [blob[5 * KIB * KIB - 5:5 * KIB * KIB + 6]],
                [blob[-9:]]]
    assert [got.data for got in tester.batch(wanted, container)] == expected
    assert [got.data for got in s3.batch(wanted, container)] == expected
