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

"""What the clients read through the block cache, and that it is the cache.

The other tests compare bytes at this proxy as well.
"""

import os
import urllib.request

import pytest

from tests.swift_clients import conftest

SMALL = 300000  # bytes; some blocks


@pytest.fixture(scope='module')
def owner(swift):
    """The owner of the account, where the cache is."""
    return conftest.site(swift, conftest.CACHED)


@pytest.fixture(scope='module')
def reader(swift):
    """A user of the same account whom nobody has given rights."""
    return conftest.site(swift, conftest.CACHED, 'reader')


@pytest.fixture(scope='module')
def watch(statsd):
    return conftest.Watch(statsd, True)


@pytest.fixture(scope='module')
def bucket(owner):
    name = f'b-{os.urandom(8).hex()}'
    owner.boto3().create_bucket(Bucket=name)
    return name


@pytest.fixture
def key(kind):
    return f'{kind.__name__}-{os.urandom(8).hex()}'


@pytest.mark.parametrize('size', [SMALL, 2 * conftest.PART + 4321])
@pytest.mark.parametrize('whole_first', [False, True])
def test_miss_and_hit(owner, watch, bucket, kind, key, size, whole_first):
    """The larger one is uploaded in parts, by the client itself."""
    client, data = kind(owner), os.urandom(size)
    client.write(bucket, key, data)
    if whole_first:
        with watch.misses():
            assert client.read(bucket, key) == data
    else:
        with watch.misses():
            _read_ranges(client, bucket, key, data)
        assert client.read(bucket, key) == data
    with watch.hits():
        _read_ranges(client, bucket, key, data)
    with watch.hits():
        assert client.read(bucket, key) == data


def _read_ranges(client, bucket, key, data):
    for start, end in conftest.RANGES:
        if end <= len(data):
            assert client.read(bucket, key, start, end) == data[start:end]


@pytest.mark.parametrize('sizes', [
    (SMALL, SMALL), (SMALL, 2 * conftest.PART + 1),
    (2 * conftest.PART + 1, SMALL),
    (2 * conftest.PART + 1, 2 * conftest.PART + 1)])
def test_overwritten(owner, watch, bucket, kind, key, sizes):
    client = kind(owner)
    for size in sizes:
        data = os.urandom(size)
        client.write(bucket, key, data)
        assert client.read(bucket, key, 1, 70000) == data[1:70000]
        assert client.read(bucket, key) == data
        with watch.hits():
            assert client.read(bucket, key, 1, 70000) == data[1:70000]
            assert client.read(bucket, key) == data


def test_deleted(owner, bucket, kind, key):
    client, data = kind(owner), os.urandom(SMALL)
    client.write(bucket, key, data)
    assert client.read(bucket, key) == data
    owner.boto3().delete_object(Bucket=bucket, Key=key)
    with pytest.raises(client.MISSING):
        client.read(bucket, key)
    client.write(bucket, key, data[::-1])
    assert client.read(bucket, key) == data[::-1]


def test_denied(owner, reader, watch, bucket, kind, key):
    """Rights are looked at for each read, whatever is in the cache."""
    client, data = kind(owner), os.urandom(SMALL)
    client.write(bucket, key, data)
    for user, secret in (('test:reader', reader.secret),
                         (owner.access, 'guess')):
        # Some take their keys from the environment of the process.
        client = kind(owner)
        assert client.read(bucket, key) == data
        other = kind(conftest.Site(owner.url, user, secret))
        with pytest.raises((other.DENIED, other.MISSING, OSError)):
            other.read(bucket, key)
        with pytest.raises((other.DENIED, other.MISSING, OSError)):
            other.read(bucket, key, 0, 10)
    client = kind(owner)
    with watch.hits():
        assert client.read(bucket, key) == data


def test_rights_that_are_given_and_taken(
        swift, owner, reader, watch, bucket, kind, key):
    client, data = kind(owner), os.urandom(SMALL)
    client.write(bucket, key, data)
    assert client.read(bucket, key) == data
    _set_readers(swift, bucket, 'test:reader')
    try:
        other = kind(reader)
        with watch.hits():
            assert other.read(bucket, key) == data
    finally:
        _set_readers(swift, bucket, '')
    other = kind(reader)
    with pytest.raises(other.DENIED):
        other.read(bucket, key)


def _set_readers(swift, bucket, acl):
    """Set the ACL of a container, as S3 cannot without ACLs of objects.

    Some clients upload all they have in parts, which are in another.
    """
    _, token = swift.login()
    for name, method in ((bucket, 'POST'), (f'{bucket}+segments', 'PUT')):
        request = urllib.request.Request(
            f'{swift.url(conftest.CACHED)}/v1/AUTH_test/{name}', headers={
                'X-Auth-Token': token, 'X-Container-Read': acl},
            method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            assert response.status in (201, 202, 204)
