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

"""A real Swift whose S3 is read by the clients that people use.

Each client is made for four proxies: one with our filters but for the cache,
one with them whose S3 has ACLs of objects as well, one that has the block
cache besides, and a stock one.
"""

import contextlib
import dataclasses
import os
import pathlib
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest

from cloud.services import swift as swift_module
from tests.swift import processes
from tests.swift import statsd as statsd_module
from tests.swift_clients import clients

STATE = pathlib.Path(__file__).parents[2] / '.cloud-swift-clients'
BASE_PORT = 23140
S3_ACL, STOCK, CACHED = 'proxy-s3-acl', 'proxy-stock', 'proxy-cached'
PROXIES = ('proxy', S3_ACL, STOCK, CACHED)
REGION = clients.REGION
PART = clients.PART
MIB = 1024 * 1024
# Whole objects of these tests are cached.
BLOCK_CACHE = {'block_size': 65536, 'max_read': 16 * MIB}
# (first, behind the last)
RANGES = ((0, 1), (0, 65536), (12345, 77777), (PART - 3, PART + 5),
          (PART, PART + 1), (2 * PART + 1, 2 * PART + 4321))


@dataclasses.dataclass
class Site:
    """What a client is told.

    :param url: of a proxy
    :param access: access key
    :param secret: secret key
    """

    url: str
    access: str
    secret: str

    def boto3(self):
        return boto3.client(
            's3', endpoint_url=self.url, region_name=REGION,
            aws_access_key_id=self.access, aws_secret_access_key=self.secret,
            config=botocore.config.Config(
                s3={'addressing_style': 'path'},
                retries={'max_attempts': 1}))


@pytest.fixture(scope='session')
def statsd():
    """What the block cache tells of itself."""
    found = statsd_module.Statsd()
    yield found
    found.close()


@pytest.fixture(scope='session')
def swift(statsd):
    settings = swift_module.Settings(
        proxies={name: 'block_cache' if name == CACHED else ''
                 for name in PROXIES},
        stock=(STOCK,), s3api={}, s3_acl=(S3_ACL,), block_caches={
            'block_cache': {**BLOCK_CACHE, **statsd.options()}})
    with processes.running(swift_module.Swift(
            STATE, BASE_PORT, settings)) as found:
        yield found


@pytest.fixture(autouse=True, scope='session')
def only_our_options():
    """No client reads what it finds on this machine, or asks a cloud."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith('AWS_') or name.lower().endswith('_proxy'):
            del os.environ[name]
    os.environ['AWS_EC2_METADATA_DISABLED'] = 'true'
    yield
    os.environ.clear()
    os.environ.update(kept)


def site(swift, proxy, user='tester'):
    return Site(swift.url(proxy), f'test:{user}',
                swift_module.USERS['test', user][0])


@pytest.fixture(scope='session', params=PROXIES)
def owner(swift, request):
    """The owner of the account, at each of the proxies."""
    return site(swift, request.param)


@pytest.fixture(scope='session')
def reader(swift, owner):
    """A user of the same account whom nobody has given rights."""
    return dataclasses.replace(site(swift, 'proxy', 'reader'), url=owner.url)


@pytest.fixture(params=clients.ALL, ids=lambda kind: kind.__name__)
def kind(request):
    """One of the clients."""
    if request.param is clients.Mountpoint:
        pytest.importorskip('s3torchconnectorclient')
    return request.param


class Watch:
    """Sees that what is read again is read from the cache.

    :param statsd: a :class:`tests.swift.statsd.Statsd`
    :param is_cached: whether there is a cache
    """

    def __init__(self, statsd, is_cached):
        self._statsd = statsd
        self._is_cached = is_cached

    @contextlib.contextmanager
    def misses(self):
        """Blocks are read from Swift in between."""
        with self._counted() as counts:
            yield
        if self._is_cached:
            assert counts['misses'] + counts['partial'], counts
            assert counts['fills'], counts

    @contextlib.contextmanager
    def hits(self):
        """All GETs of objects are answered from the cache in between."""
        with self._counted() as counts:
            yield
        if self._is_cached:
            assert counts['hits'], counts
            for name in ('misses', 'partial', 'bypassed', 'fills'):
                assert not counts[name], counts

    @contextlib.contextmanager
    def _counted(self):
        before, counts = self._statsd.settled_counts(), {}
        yield counts
        after = self._statsd.settled_counts()
        counts.update({
            name: after[f'block-cache.{name}'] - before[f'block-cache.{name}']
            for name in ('hits', 'misses', 'partial', 'bypassed', 'fills')})


@pytest.fixture(scope='session')
def watch(swift, statsd, owner):
    return Watch(statsd, owner.url == swift.url(CACHED))


@pytest.fixture(scope='session')
def blob():
    """Two parts and a bit."""
    return os.urandom(2 * PART + 4321)


@pytest.fixture(scope='session')
def bucket(owner, blob):
    """A bucket with objects, one of them of parts.

    :returns: its name
    """
    name = f'b-{uuid.uuid4()}'
    client = owner.boto3()
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key='whole', Body=blob)
    _upload_parts(client, name, blob)
    for number in range(5):
        client.put_object(Bucket=name, Key=f'list/{number} ü', Body=b'%d' % (
            number,))
    return name


def _upload_parts(client, bucket, blob):
    where = {'Bucket': bucket, 'Key': 'parts'}
    upload = client.create_multipart_upload(**where)['UploadId']
    parts = [{'PartNumber': number, 'ETag': client.upload_part(
        **where, UploadId=upload, PartNumber=number, Body=blob[at:at + PART])[
            'ETag']} for number, at in enumerate(
                range(0, len(blob), PART), 1)]
    client.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={'Parts': parts})
