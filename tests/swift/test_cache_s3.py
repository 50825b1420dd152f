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
"""Ordinary S3 clients and the cache."""

import os
import re

import pytest

from tests.swift import caches as module

PART = 5 * 1024 * 1024


@pytest.fixture
def bucket(caches):
    name = f'bucket{os.urandom(4).hex()}'
    assert module.s3(caches, f'/{name}', method='PUT').status == 200
    return name


def same(caches, path, wanted=None, **headers):
    """Compare what a stock proxy and one with a cache say."""
    if wanted is not None:
        headers['Range'] = wanted
    expected = module.s3(caches, path, module.STOCK, **headers)
    got = module.s3(caches, path, **headers)
    assert got.status == expected.status
    # An error has the number of the request.
    assert re.sub(rb'<RequestId>.*?<', b'', got.body) == re.sub(
        rb'<RequestId>.*?<', b'', expected.body)
    assert module.plain(got) == module.plain(expected)
    return got


def test_signed_requests(caches, bucket):
    body, path = os.urandom(300000), f'/{bucket}/o'
    assert module.s3(caches, path, method='PUT', body=body,
                     X_Amz_Meta_Colour='blue').status in (200, 403)
    assert module.s3(caches, path, method='PUT', body=body).status == 200
    for _ in range(3):
        for wanted in (None, 'bytes=5-9', 'bytes=65530-140000', 'bytes=-7'):
            assert same(caches, path, wanted).status in (200, 206)
        assert same(caches, path, 'bytes=400000-').status == 416
    before = module.reads(caches, f'{bucket}/o')
    assert module.s3(caches, path, Range='bytes=5-9').body == body[5:10]
    assert module.reads(caches, f'{bucket}/o') == before
    # Others have no rights there.
    got = module.s3(caches, path, user='stranger', account='other')
    assert got.status == 404  # In the account of their own.
    got = module.s3(caches, path, user='reader')
    assert got.status == 403
    got = module.s3(caches, path, method='PUT', body=b'other')
    assert got.status == 200
    assert module.s3(caches, path).body == b'other'
    assert module.s3(caches, path, method='DELETE').status == 204
    assert module.s3(caches, path).status == 404


def test_boto3(caches, bucket):
    boto3 = pytest.importorskip('boto3')
    from botocore import config

    client = boto3.client(
        's3', endpoint_url=caches.url(module.CACHED), region_name='us-east-1',
        aws_access_key_id='test:tester', aws_secret_access_key='testing',
        config=config.Config(s3={'addressing_style': 'path'}))
    body = os.urandom(2 * PART + 12345)
    client.put_object(Bucket=bucket, Key='plain', Body=body[:300000])
    upload = client.create_multipart_upload(Bucket=bucket, Key='parts')
    options = {'Bucket': bucket, 'Key': 'parts',
               'UploadId': upload['UploadId']}
    parts = []
    for number in range(3):
        response = client.upload_part(
            PartNumber=number + 1, Body=body[number * PART:][:PART], **options)
        parts.append({'PartNumber': number + 1, 'ETag': response['ETag']})
    client.complete_multipart_upload(
        MultipartUpload={'Parts': parts}, **options)
    for key, size in (('plain', 300000), ('parts', len(body))):
        for first in (0, 1, 65530, 250000, size - 70000, size - 1):
            for _ in range(2):
                last = min(first + 69999, size - 1)
                got = client.get_object(
                    Bucket=bucket, Key=key, Range=f'bytes={first}-{last}')
                assert got['Body'].read() == body[first:last + 1]
                assert got['ContentRange'] == f'bytes {first}-{last}/{size}'
        assert client.get_object(
            Bucket=bucket, Key=key)['Body'].read() == body[:size]
    before = module.reads(caches, f'{bucket}/parts')
    got = client.get_object(Bucket=bucket, Key='parts', Range='bytes=5-9')
    assert got['Body'].read() == body[5:10]
    assert module.reads(caches, f'{bucket}/parts') == before
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.get_object(Bucket=bucket, Key='parts',
                          Range=f'bytes={len(body)}-')
    assert caught.value.response['Error']['Code'] == 'InvalidRange'
    client.put_object(Bucket=bucket, Key='parts', Body=b'other')
    got = client.get_object(Bucket=bucket, Key='parts', Range='bytes=0-')
    assert got['Body'].read() == b'other'
