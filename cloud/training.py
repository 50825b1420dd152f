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

"""What somebody who trains a model does with the object store.

The data set is real: the Python modules of the packages that the cloud runs
on, as a language model would read them, in tar archives.
"""

import concurrent.futures
import hashlib
import io
import pathlib
import random
import sysconfig
import tarfile

import boto3
import botocore.config

from ai_factory_plugins.dataset import shards
from cloud import layout as layouts
from cloud.services import object_store

CONTAINER = 'train'
SHARD = 4 * 2 ** 20  # bytes
CLIENTS = 8


def options(cloud):
    """How the admin logs in at keystone, for ``ai_factory_plugins.dataset``.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    """
    return {'auth_url': cloud.layout.url('keystone') + '/v3',
            'username': 'admin', 'password': layouts.PASSWORD,
            'project_name': 'admin'}


def s3(cloud, proxy=object_store.PROXY):
    """An S3 client of the admin.

    :param proxy: the proxy that it talks to
    """
    identity = cloud.connection().identity
    url = f'/users/{cloud.connection().current_user_id}/credentials/OS-EC2'
    known = identity.get(url).json()['credentials']
    key = known[0] if known else identity.post(url, json={
        'tenant_id': cloud.connection().current_project_id,
    }).json()['credential']
    return boto3.client(
        's3', endpoint_url=cloud.layout.url(proxy), region_name='us-east-1',
        aws_access_key_id=key['access'], aws_secret_access_key=key['secret'],
        config=botocore.config.Config(
            s3={'addressing_style': 'path'}, max_pool_connections=CLIENTS))


def make(cloud, count):
    """Put a data set into the object store.

    :param count: how many samples
    :returns: list of :class:`~ai_factory_plugins.dataset.shards.Sample`, and
        dict of key to the SHA-256 of a sample
    """
    store = cloud.connection().object_store
    store.create_container(CONTAINER)
    samples, digests = [], {}
    stream = archive = None
    for number, path in enumerate(_modules(count)):
        if archive is None:
            stream = io.BytesIO()
            archive = tarfile.open(fileobj=stream, mode='w')
        data = path.read_bytes()
        member = tarfile.TarInfo(f'{number:06}.py')
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
        digests[f'{number:06}'] = hashlib.sha256(data).hexdigest()
        if stream.tell() > SHARD or number == count - 1:
            archive.close()
            samples += _upload(store, stream, f'{number:06}.tar')
            archive = None
    return samples, digests


def _modules(count):
    """Modules of a size that samples have, in an order of no meaning."""
    root = pathlib.Path(sysconfig.get_paths()['purelib'])
    found = sorted(path for path in root.glob('*/**/*.py')
                   if 1024 < path.stat().st_size < 65536)
    random.Random(1).shuffle(found)
    return found[:count]


def _upload(store, stream, name):
    store.upload_object(
        container=CONTAINER, name=name, data=stream.getvalue())
    stream.seek(0)
    return shards.index_tar(stream, name)


class S3Reader:
    """Reads samples with a GET each, several at once.

    :param cloud: a :class:`~cloud.core.Cloud`
    :param samples: list of :class:`~ai_factory_plugins.dataset.shards.Sample`
    :param proxy: the proxy that it talks to
    """

    def __init__(self, cloud, samples, proxy):
        self._samples = samples
        self._client = s3(cloud, proxy)
        self._pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)

    def __getitems__(self, indices):
        return list(self._pool.map(self._sample, indices))

    def _sample(self, index):
        sample = self._samples[index]
        offset, length = sample.fields['py']
        answer = self._client.get_object(
            Bucket=CONTAINER, Key=sample.shard,
            Range=f'bytes={offset}-{offset + length - 1}')
        return sample.key, answer['Body'].read()


def batch_reader(cloud, samples):
    """Reads samples with a request for each batch of them."""
    return shards.ShardDataset(
        samples, CONTAINER, lambda key, fields: (key, fields['py']),
        **options(cloud))
