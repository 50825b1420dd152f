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

"""Batch reads of a Swift that keystone guards."""

import hashlib
import io
import random

import botocore.auth
from botocore import awsrequest
import openstack
import pytest
import requests

from ai_factory_plugins.dataset import auth
from ai_factory_plugins.dataset import client
from ai_factory_plugins.dataset import connection
from ai_factory_plugins.dataset import entries
from ai_factory_plugins.dataset import filesystem
from ai_factory_plugins.dataset import frames
from cloud import layout as layouts
from cloud.services import object_store
from cloud import training

SAMPLES = 300


@pytest.fixture(scope='module')
def data(cloud):
    return training.make(cloud, SAMPLES)


@pytest.fixture(scope='module')
def stranger(cloud):
    """How a member of another project logs in."""
    identity = cloud.connection().identity
    project = identity.create_project(name='other', domain_id='default')
    user = identity.create_user(
        name='stranger', password=layouts.PASSWORD, domain_id='default')
    role = identity.find_role('member')
    identity.assign_project_role_to_user(project, user, role)
    yield {**training.options(cloud), 'username': 'stranger',
           'project_name': 'other'}
    identity.delete_user(user)
    identity.delete_project(project)


def reader(cloud, url=None, **changes):
    """A reader of the admin's account, whoever logs in."""
    found, token = auth.account(**{**training.options(cloud), **changes})
    return client.BatchReader(url or found, token)


@pytest.fixture(scope='module')
def url(cloud):
    return auth.account(**training.options(cloud))[0]


def test_samples_in_any_order(cloud, data):
    samples, digests = data
    order = random.Random(7).sample(range(SAMPLES), SAMPLES)
    for way in (training.batch_reader(cloud, samples),
                training.S3Reader(cloud, samples, object_store.PROXY)):
        found = way.__getitems__(order)
        assert {key: hashlib.sha256(body).hexdigest()
                for key, body in found} == digests


def test_file_system(cloud, data):
    fs = filesystem.SwiftFileSystem(
        skip_instance_cache=True, **training.options(cloud))
    sample = data[0][5]
    offset, length = sample.fields['py']
    body = fs.cat_file(
        f'{training.CONTAINER}/{sample.shard}', offset, offset + length)
    assert hashlib.sha256(body).hexdigest() == data[1][sample.key]


def test_stranger_is_refused_until_the_acl_lets_in(
        cloud, data, url, stranger):
    shard = data[0][0].shard
    item = [client.Item(shard, [(0, 99)], training.CONTAINER)]
    theirs = reader(cloud, url, **stranger)
    assert theirs.limits()
    with pytest.raises(connection.ServerError) as caught:
        list(theirs.read(item))
    assert caught.value.status == 403
    store = cloud.connection().object_store
    project = openstack.connection.Connection(auth={
        **stranger, 'user_domain_id': 'default',
        'project_domain_id': 'default'}).current_project_id
    path = f'/{training.CONTAINER}'
    store.post(path, headers={'X-Container-Read': f'{project}:*'})
    try:
        result, = theirs.read(item)
        assert result.status == 206
        mine, = reader(cloud).read(item)
        assert result.data == mine.data
    finally:
        store.post(path, headers={'X-Remove-Container-Read': 'x'})
    with pytest.raises(connection.ServerError):
        list(theirs.read(item))


def test_batch_that_is_signed_as_a_request_of_s3(cloud, data):
    samples = data[0][:20]
    items = [entries.Entry(
        number, object=sample.shard,
        ranges=((offset, offset + length - 1),))
        for number, sample in enumerate(samples)
        for offset, length in [sample.fields['py']]]
    request = awsrequest.AWSRequest(
        'POST', f'{cloud.layout.url(object_store.PROXY)}/'
        f'{training.CONTAINER}', params={'batch-read': '1'},
        data=b''.join(item.line() for item in items))
    s3 = training.s3(cloud)
    botocore.auth.S3SigV4Auth(
        s3._request_signer._credentials, 's3', 'us-east-1').add_auth(request)
    prepared = request.prepare()
    response = requests.post(prepared.url, data=prepared.body,
                             headers=dict(prepared.headers), timeout=60)
    assert response.status_code == 200, response.text
    stream, found = io.BytesIO(response.content), {}
    while True:
        frame = frames.read(stream.read)
        if frame.kind == frames.END:
            break
        found[frame.entry] = found.get(frame.entry, b'') + bytes(frame.data)
    assert {samples[number].key: hashlib.sha256(body).hexdigest()
            for number, body in found.items()} == {
        sample.key: data[1][sample.key] for sample in samples}


def test_token_that_is_revoked_is_renewed(cloud, data):
    account, token = auth.account(**training.options(cloud))
    old = token()
    given = []

    def tokens():
        given.append(old if not given else token())
        return given[-1]

    cloud.connection().identity.delete('/auth/tokens', headers={
        'X-Subject-Token': old})
    result, = client.BatchReader(account, tokens).read([
        client.Item(data[0][0].shard, [(0, 9)], training.CONTAINER)])
    assert result.status == 206
    assert len(given) == 2 and given[1] != old


def test_no_token(cloud, data, url):
    with pytest.raises(connection.ServerError) as caught:
        list(client.BatchReader(url).read([
            client.Item('x', container=training.CONTAINER)]))
    assert caught.value.status == 401
