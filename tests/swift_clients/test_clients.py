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

"""What the clients read is what is there."""

import os

import pytest

from tests.swift_clients import clients
from tests.swift_clients import conftest


@pytest.fixture
def client(kind, owner):
    return kind(owner)


@pytest.mark.parametrize('key', ['whole', 'parts'])
def test_read(client, bucket, blob, key):
    assert client.read(bucket, key) == blob
    for start, end in conftest.RANGES:
        assert client.read(bucket, key, start, end) == blob[start:end]


@pytest.mark.parametrize('size', [0, 1, 70000, 2 * conftest.PART + 17])
def test_write(client, bucket, size):
    if not size and isinstance(client, clients.Mountpoint):
        pytest.skip('it takes the answer to an empty object for an error, '
                    'from stock Swift as well')
    data = os.urandom(size)
    key = f'written/{type(client).__name__}-{size}'
    client.write(bucket, key, data)
    assert client.read(bucket, key) == data


def test_list(client, bucket):
    assert sorted(client.names(bucket, 'list')) == [
        f'list/{number} ü' for number in range(5)]
    assert client.read(bucket, 'list/3 ü') == b'3'


def test_missing(client, bucket):
    for where in ((bucket, 'none'), (f'{bucket}-none', 'whole')):
        with pytest.raises(client.MISSING) as caught:
            client.read(*where)
        assert not _is_denied(caught.value)


def test_denied(kind, reader, bucket):
    client = kind(reader)
    with pytest.raises(client.DENIED) as caught:
        client.read(bucket, 'whole')
    assert _is_denied(caught.value), caught.value


def _is_denied(exc):
    """Whether an error is one of rights; some clients have but one kind."""
    return any(word in str(exc).lower()
               for word in ('denied', 'forbidden', '403'))


def test_wrong_secret(kind, owner, bucket):
    client = kind(conftest.Site(owner.url, owner.access, 'guess'))
    with pytest.raises((client.DENIED, client.MISSING, OSError)):
        client.read(bucket, 'whole')
