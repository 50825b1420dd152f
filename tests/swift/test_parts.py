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

"""Parts of the filters by themselves.

They are not among the unit tests: these run in one process with Nova's, which
does not want eventlet.
"""

import functools
import hashlib
import io
import os
import types

import pytest
from swift.common.middleware import keystoneauth
from swift.common.middleware import tempauth
from swift.common import storage_policy
from swift.common import swob

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.dataset import frames
from ai_factory_plugins.swift import access
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import batch_read
from ai_factory_plugins.swift import cluster
from ai_factory_plugins.swift import disk
from ai_factory_plugins.swift import window


@pytest.mark.parametrize('name, plain', [
    ('X-Object-Meta-Color', True), ('X-Delete-At', True),
    ('Content-Type', True), ('X-Object-Sysmeta-S3Api-Acl', True),
    ('X-Object-Sysmeta-Container-Update-Override-Etag', True),
    ('X-Static-Large-Object', False), ('X-Object-Manifest', False),
    ('X-Object-Sysmeta-Symlink-Target', False),
    ('X-Object-Sysmeta-Crypto-Body-Meta', False),
    ('X-Object-Transient-Sysmeta-Crypto-Meta', False),
    ('X-Object-Sysmeta-Slo-Etag', False),
    ('X-Object-Sysmeta-Of-Another-Vendor', False)])
def test_what_is_plain(name, plain):
    metadata = {'name': '/a/c/o', 'X-Timestamp': '1', 'ETag': 'x', name: '1'}
    assert disk.is_plain(metadata) is plain


def test_memory():
    memory = cluster.Memory(60, limit=3)
    for number in range(5):
        memory.add(number)
    assert [number in memory for number in range(5)] == [
        False, False, True, True, True]
    memory = cluster.Memory(0)
    memory.add(1)
    assert 1 not in memory


class ByName:
    """An authorizer that looks at the names of objects."""

    def authorize(self, req):
        if 'secret' in req.path:
            return swob.HTTPForbidden(request=req)


class SubTempAuth(tempauth.TempAuth):
    """Whatever it does, nobody knows it here."""


def test_whose_answers_hold_for_a_container():
    known = tempauth.TempAuth(None, {})
    stone = keystoneauth.KeystoneAuth(None, {})
    assert access._is_blind(known.authorize)
    assert access._is_blind(functools.partial(stone.authorize, {}))
    for unknown in (ByName().authorize, SubTempAuth(None, {}).authorize,
                    lambda req: None, None):
        assert not access._is_blind(unknown)


@pytest.fixture
def container_info(monkeypatch):
    """What Swift tells of all containers."""
    found = {'status': 200, 'storage_policy': '0', 'read_acl': ''}
    monkeypatch.setattr(
        access, 'get_container_info', lambda *args, **kw: found)
    return found


def test_others_are_asked_for_each_object(container_info):
    rights = access.Access({
        'swift.authorize': ByName().authorize, 'REQUEST_METHOD': 'POST',
        'PATH_INFO': '/v1/a/c'}, None, 'v1', 'a')
    wanted = [entries.Entry(0, 'c', 'open'), entries.Entry(1, 'c', 'secret'),
              entries.Entry(2, error=entries.EntryError(400, 'bad'))]
    assert rights.check(wanted) == {1: 403}
    with pytest.raises(access.Denied):
        rights.check(wanted[1:])


@pytest.mark.parametrize('wrong', [{'status': 503}, {'storage_policy': '99'}])
def test_containers_of_which_nothing_is_known(container_info, wrong):
    container_info.update(wrong)
    assert access.Access({}, None, 'v1', 'a').container('c').status == 503


def refuse(req):
    return swob.HTTPUnauthorized(request=req)


@pytest.mark.parametrize('environ, status', [
    ({}, 401), ({'swift.authorize': None}, 403),
    ({'swift.authorize_override': True}, 403),
    ({'s3api.auth_details': {}}, 403),
    ({'s3api.auth_details': {}, batch_read.OF_S3: True}, 401),
    ({'HTTP_HOST': 'denied.example:80'}, 403)])
def test_whose_batches_are_authorised(container_info, environ, status):
    """Only those of who has authenticated, for more than one object.

    The authorizer, which refuses all, is asked, or the filter says 403 itself.
    """
    found = batch_read.filter_factory({})(None)
    found._pipeline_final_app = types.SimpleNamespace(
        deny_host_headers=('denied.example',))
    req = swob.Request.blank('/v1/a/c?batch-read=1', {
        'REQUEST_METHOD': 'POST', 'swift.authorize': refuse, **environ},
        body=b'{"object":"o"}\n')
    if req.environ['swift.authorize'] is None:
        del req.environ['swift.authorize']
    assert req.get_response(found).status_int == status


@pytest.fixture
def objects(monkeypatch, tmp_path):
    """Objects made of files; a controller that opens them."""
    state = types.SimpleNamespace(blobs={}, opened=0, reads=0, open=0)

    class Opened:
        manifest = False

        def __init__(self, controller, target, keep_cache, known):
            if target.object not in state.blobs:
                raise disk.Refused(404, 'not here')
            self._blob = state.blobs[target.object]
            self.size = len(self._blob)
            self.etag = hashlib.md5(self._blob).hexdigest()
            state.opened += 1
            state.open += 1

        def read(self, start, length):
            state.reads += 1
            return self._blob[start:start + length]

        def checksum(self):
            return None

        def check(self, checksum):
            pass

        def close(self):
            state.open -= 1
    monkeypatch.setattr(disk, 'OpenObject', Opened)
    return state


def read(state, wanted, max_open=64, size=1 << 20, gap=4096, change=None):
    """Frames for (name, ranges) pairs, by number of the entry."""
    names = list(dict.fromkeys(name for name, _ in wanted))
    targets = [backend.Target('d', 0, 0, 'a', 'c', name) for name in names]
    reads = [backend.Read(number, names.index(name), tuple(ranges), None)
             for number, (name, ranges) in enumerate(wanted)]
    uses = [sum(item.target == n for item in reads)
            for n in range(len(targets))]
    opened = disk.OpenObjects(None, targets, uses, max_open, True, None)
    body = b''
    for chunk in window.Reader(
            opened, {'window': size, 'coalesce_gap': gap},
            pytest.fail).frames(reads):
        body += chunk
        if change is not None:
            change()
    opened.close()
    stream, found = io.BytesIO(body), {}
    while True:
        frame = frames.read(stream.read)
        if frame.kind == frames.END:
            assert frame.entry == len(wanted)
            return found
        assert frame.entry >= max(found, default=0)
        found.setdefault(frame.entry, [frame.status, b''])[1] += frame.data


@pytest.mark.parametrize('max_open', [1, 2, 64])
@pytest.mark.parametrize('size', [4096, 100000, 1 << 20])
def test_windows(objects, max_open, size):
    for name in 'abcd':
        objects.blobs[name] = os.urandom(50000)
    wanted = [('abcdx'[n * 7 % 5], [(n * 100, n * 100 + 3000),
                                    (n * 50, n * 50 + 10)])
              for n in range(300)]
    found = read(objects, wanted, max_open, size)
    for number, (name, ranges) in enumerate(wanted):
        blob = objects.blobs.get(name)
        expected = [404, b''] if blob is None else [206, b''.join(
            blob[first:last + 1] for first, last in ranges)]
        assert found[number] == expected
    assert objects.open == 0
    if max_open == 64:
        assert objects.opened == 4


def test_near_ranges_are_one_read(objects):
    objects.blobs['a'] = os.urandom(500000)
    wanted = [('a', [(n * 5000, n * 5000 + 4000)]) for n in range(50)][::-1]
    found = read(objects, wanted)
    assert objects.reads == 1
    assert all(
        data == objects.blobs['a'][first:last + 1]
        for (_, data), (_, [(first, last)]) in zip(found.values(), wanted))
    read(objects, wanted, gap=0)
    assert objects.reads == 51


def test_an_object_that_changes_while_it_is_closed(objects):
    # Each is as much as is sent at once.
    objects.blobs.update(a=b'a' * 400000, b=b'b' * 400000)

    def change():
        objects.blobs['a'] = b'A' * 400000

    found = read(objects, [
        (name, [(0, 299999)]) for name in 'abab'], 1, 300000, change=change)
    assert [status for status, _ in found.values()] == [206, 206, 409, 206]
    assert found[0][1] == b'a' * 300000


@pytest.mark.parametrize('method, devices', [
    ('shuffle', {'a', 'b', 'c'}), ('affinity', {'a', 'b'}), ('timing', {'b'})])
def test_which_replicas_are_asked(method, devices):
    """Those that the proxy would ask first for a GET."""
    nodes = [{'id': number, 'ip': name, 'port': 1, 'device': 'd', 'zone': zone}
             for number, (name, zone) in enumerate(['a1', 'b1', 'c2'])]
    app = types.SimpleNamespace(
        get_object_ring=lambda index: types.SimpleNamespace(
            get_nodes=lambda *names: (5, nodes)),
        get_policy_options=lambda policy: types.SimpleNamespace(
            sorting_method=method,
            read_affinity_sort_key=lambda node: node['zone']),
        sort_nodes=lambda nodes, policy: sorted(
            nodes, key=lambda node: (node['zone'], node['ip'] != 'b')),
        error_limited=lambda node: False)
    found = cluster.Cluster(
        app, None, 'AUTH_a', 'tx', cluster.Memory(60), cluster.Memory(60))
    policy = storage_policy.StoragePolicy(0, 'gold', is_default=True)
    target, holders = found.find(policy, 'c', 'o')
    assert target == ('', 5, 0, 'AUTH_a', 'c', 'o')
    assert {ip for ip, port in holders} == devices
    found.remember(target)
    assert found.find(policy, 'c', 'o')[1] == {}
