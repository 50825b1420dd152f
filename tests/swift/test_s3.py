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

"""Batches that are signed as requests of S3."""

import base64
import hashlib
import re
import uuid

import pytest

from ai_factory_plugins.swift import s3_batches
from tests.swift import api
from tests.swift import conftest
from tests.swift import s3 as s3_module

BATCH = {'batch-read': '1'}
WANTED = [{'object': 'o', 'ranges': [[0, 2], [3, None]]}]


@pytest.fixture
def s3(swift):
    """The account's owner."""
    return s3_module.S3(swift)


@pytest.fixture
def reader(swift):
    return s3_module.S3(swift, user='reader')


@pytest.fixture
def bucket(s3):
    name = f's3-{uuid.uuid4()}'
    assert s3.request('PUT', f'/{name}').status == 200
    assert s3.request('PUT', f'/{name}/o', b'secret').status == 200
    return name


def allow(tester, bucket, acl):
    assert tester.request(
        'POST', f'/{bucket}', X_Container_Read=acl).status == 204


def refused(response, status, code):
    assert response.status == status, response
    assert f'<Code>{code}</Code>'.encode() in response.body
    assert b'secret' not in response.body


def code(response):
    """What S3 calls the error."""
    found = re.search(b'<Code>(.*?)</Code>', response.body)
    return found and found[1]


def test_reads(s3, bucket):
    s3.request('PUT', f'/{bucket}/ü 1', b'0123456789')
    got = s3.batch([
        *WANTED, {'object': 'none'}, {'object': 'ü 1', 'ranges': [[2, 4]]},
        {'object': 'o', 'ranges': [[100, None]]}, {'object': 'ü 1'}], bucket)
    assert [one.status for one in got] == [206, 404, 206, 416, 200]
    assert got[0].data == [b'sec', b'ret']
    assert got[2].data == [b'234']
    assert got[4].data == [b'0123456789']


def test_answer_is_of_s3(s3, bucket):
    response = s3.post_batch(WANTED, bucket)
    assert response.headers['content-type'] == 'application/x-swift-batch-read'
    assert 'x-trans-id' in response.headers


def test_segments(s3, bucket, blob, container, tester):
    tester.put(f'/{container}/1', blob)
    tester.put(f'/{bucket}/big', api.lines([
        {'path': f'/{container}/1'}])[:-1].join([b'[', b']']),
        '?multipart-manifest=put')
    got, = s3.batch([{'object': 'big', 'ranges': [[5, 999999]]}], bucket)
    assert got.data == [blob[5:1000000]]


def test_missing_bucket(s3):
    got, = s3.batch(WANTED, f'none-{uuid.uuid4()}')
    assert got.status == 404


def test_rights(tester, s3, reader, swift, bucket):
    refused(reader.post_batch(WANTED, bucket), 403, 'AccessDenied')
    allow(tester, bucket, 'test:reader')
    assert reader.batch(WANTED, bucket)[0].data == [b'sec', b'ret']
    allow(tester, bucket, '')
    refused(reader.post_batch(WANTED, bucket), 403, 'AccessDenied')
    # A bucket is always one of the own account.
    stranger = s3_module.S3(swift, 'other', 'stranger')
    assert stranger.batch(WANTED, bucket)[0].status == 404


def test_entries_stay_in_the_bucket(s3, bucket):
    got, other = s3.batch([
        {'object': 'o', 'container': bucket}, *WANTED], bucket)
    assert got.status == 400
    assert other.data == [b'sec', b'ret']
    for name in ('../o', f'/{bucket}/o', '..'):
        assert s3.batch([{'object': name}], bucket)[0].status == 404


def test_wrong_signatures(s3, swift, bucket):
    forger = s3_module.S3(swift, secret='guess')
    refused(forger.post_batch(WANTED, bucket), 403, 'SignatureDoesNotMatch')
    nobody = s3_module.S3(swift, user='nobody', secret='guess')
    refused(nobody.post_batch(WANTED, bucket), 403, 'SignatureDoesNotMatch')
    body = api.lines(WANTED)
    payload = hashlib.sha256(body).hexdigest()
    for method, path, params in (
            ('GET', f'/{bucket}', BATCH), ('POST', '/another', BATCH),
            ('POST', f'/{bucket}', {}), ('POST', f'/{bucket}', {
                'batch-read': '2'})):
        headers = s3.sign(method, path, params, payload)
        refused(s3.send('POST', f'/{bucket}', BATCH, body, headers),
                403, 'SignatureDoesNotMatch')
    headers = s3.sign('POST', f'/{bucket}', BATCH, payload, age=3600)
    refused(s3.send('POST', f'/{bucket}', BATCH, body, headers),
            403, 'RequestTimeTooSkewed')


def test_other_bodies(s3, bucket):
    """The signature is of the body as well."""
    payload = hashlib.sha256(b'{"object": "n"}').hexdigest()
    refused(s3.post_batch(WANTED, bucket, payload=payload),
            400, 'XAmzContentSHA256Mismatch')
    headers = s3.sign('POST', f'/{bucket}', BATCH, payload)
    refused(s3.send('POST', f'/{bucket}', BATCH, iter([api.lines(WANTED)]),
                    headers, encode_chunked=True), 411, 'MissingContentLength')
    got, = s3.batch(WANTED, bucket, payload=s3_module.UNSIGNED)
    assert got.data == [b'sec', b'ret']


def test_signature_in_the_url(s3, swift, bucket):
    path, body = f'/{bucket}', api.lines(WANTED)
    params = s3.presign('POST', path, BATCH)
    response = s3.send('POST', path, params, body, {})
    assert api.decode(response.body, 1)[0].data == [b'sec', b'ret']
    params = {**s3.presign('POST', path, {}), **BATCH}
    refused(s3.send('POST', path, params, body, {}),
            403, 'SignatureDoesNotMatch')


def test_signature_without_the_parameter(s3, bucket):
    headers = s3.sign_v2('POST', f'/{bucket}')
    refused(s3.send('POST', f'/{bucket}', BATCH, api.lines(WANTED), headers),
            403, 'AccessDenied')


def test_malformed(s3, bucket):
    refused(s3.request('POST', f'/{bucket}', b'[]', BATCH),
            400, 'InvalidRequest')
    refused(s3.post_batch([], bucket), 400, 'InvalidRequest')
    refused(s3.request('POST', f'/{bucket}', api.lines(WANTED), {
        'batch-read': '2'}), 400, 'InvalidRequest')
    response = s3.request('POST', f'/{bucket}', b'x' * (5 * 2 ** 20), BATCH)
    assert response.status == 413


def test_nothing_is_written(s3, tester, reader, bucket):
    got, = s3.batch(WANTED, bucket, X_Container_Read='.r:*',
                    X_Container_Meta_Color='red')
    assert got.status == 206
    headers = tester.request('HEAD', f'/{bucket}').headers
    assert not {'x-container-read', 'x-container-meta-color'} & set(headers)
    refused(reader.post_batch(WANTED, bucket), 403, 'AccessDenied')


def test_other_requests_pass_by(s3, tester, bucket):
    """They get what they get without the filter."""
    stock = s3_module.S3(s3.swift, proxy=conftest.STOCK)
    delete = (b'<Delete><Object><Key>gone</Key></Object></Delete>')
    md5 = base64.b64encode(hashlib.md5(delete).digest()).decode()
    for method, path, params in (
            ('POST', f'/{bucket}', {}), ('POST', f'/{bucket}/o', BATCH),
            ('POST', '/', BATCH), ('GET', f'/{bucket}/o', BATCH),
            ('POST', f'/{bucket}', {'delete': '', **BATCH}),
            ('POST', f'/{tester.account[1:]}/{bucket}', BATCH)):
        ours, theirs = (
            one.request(method, path, delete, params, Content_MD5=md5)
            for one in (s3, stock))
        assert ours.status == theirs.status, (method, path, params)
        assert code(ours) == code(theirs)
    assert stock.post_batch(WANTED, bucket).status == 501


def test_object_acls(swift):
    """Where s3api looks after each object, batches are refused."""
    owner, other = (s3_module.S3(swift, user=user, proxy=conftest.S3_ACL)
                    for user in ('tester', 'reader'))
    bucket = f'acl-{uuid.uuid4()}'
    owner.request('PUT', f'/{bucket}')
    owner.request('PUT', f'/{bucket}/o', b'secret')
    for one in (owner, other):
        refused(one.post_batch(WANTED, bucket), 501, 'NotImplemented')
        # The same without the filter of S3, and to the native path.
        assert one.request('POST', f'/v1/AUTH_test/{bucket}',
                           api.lines(WANTED), BATCH).status >= 400


def test_order_of_the_pipeline():
    """Without batch_read, a batch would be a POST to the container."""
    for app in (None, s3_batches.s3api.S3ApiMiddleware(None, {})):
        with pytest.raises(ValueError, match='batch_read'):
            s3_batches.filter_factory({})(app)


def test_batches_are_counted_to_their_end(s3, bucket):
    """None of those before is in the way of the next."""
    for _ in range(conftest.MAX_BATCHES + 2):
        s3.batch(WANTED, bucket)
        assert s3.post_batch([], bucket).status == 400
