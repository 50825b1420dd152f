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

"""Objects opened through Swift's own DiskFile, on a directory."""

import errno
import hashlib
import os
import time

import pytest
from swift.common import storage_policy
from swift.common.utils import Timestamp
from swift.obj import server

from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import disk

TARGET = backend.Target('d0', 7, 0, 'AUTH_a', 'c', 'o')
BODY = bytes(range(256)) * 1000


@pytest.fixture
def controller(tmp_path, monkeypatch):
    """An object server's controller, without a server."""
    monkeypatch.setattr(
        storage_policy, '_POLICIES', storage_policy.StoragePolicyCollection([
            storage_policy.StoragePolicy(0, 'gold', is_default=True),
            storage_policy.ECStoragePolicy(
                1, 'ec', ec_type='liberasurecode_rs_vand', ec_ndata=2,
                ec_nparity=1)]))
    (tmp_path / 'd0').mkdir()
    return server.ObjectController({
        'devices': str(tmp_path), 'mount_check': 'false',
        'disable_fallocate': 'true'})


def disk_file(controller):
    return controller.get_diskfile(
        TARGET.device, str(TARGET.partition), *TARGET[3:],
        policy=storage_policy.POLICIES[0])


def put(controller, body, at, **metadata):
    with disk_file(controller).create() as writer:
        writer.write(body)
        writer.put({
            'X-Timestamp': Timestamp(at).internal, 'ETag': hashlib.md5(
                body, usedforsecurity=False).hexdigest(),
            'Content-Length': str(len(body)), 'Content-Type': 'x',
            **{name.replace('_', '-'): value
               for name, value in metadata.items()}})
        writer.commit(Timestamp(at))


def refused(controller, target=TARGET):
    with pytest.raises(disk.Refused) as caught:
        disk.OpenObject(controller, target, True)
    return caught.value.status


@pytest.mark.parametrize('keep_cache', [True, False])
def test_reads(controller, keep_cache):
    put(controller, BODY, 1)
    opened = disk.OpenObject(controller, TARGET, keep_cache)
    assert opened.size == len(BODY)
    assert opened.etag == hashlib.md5(BODY).hexdigest()
    for start, length in ((0, 10), (1000, 70000), (len(BODY) - 1, 1)):
        assert opened.read(start, length) == BODY[start:start + length]
    with pytest.raises(disk.Refused):
        opened.read(len(BODY) - 5, 10)
    opened.close()
    opened.close()
    with pytest.raises(disk.Refused):
        opened.read(0, 1)


def test_one_version(controller):
    put(controller, BODY, 1)
    opened = disk.OpenObject(controller, TARGET, True)
    put(controller, b'new', 2)
    assert opened.read(0, 10) == BODY[:10]
    disk_file(controller).delete(Timestamp(3))
    assert opened.read(5, 10) == BODY[5:15]
    opened.close()
    assert refused(controller) == 404


def test_refusals(controller):
    assert refused(controller) == 404
    assert refused(controller, TARGET._replace(device='d1')) == 507
    assert refused(controller, TARGET._replace(device='../d0')) == 400
    assert refused(controller, TARGET._replace(policy=9)) == 503
    assert refused(
        controller, TARGET._replace(policy=1)) == backend.UNSUITABLE
    put(controller, BODY, 1, X_Delete_At=str(int(time.time()) - 5))
    assert refused(controller) == 404
    put(controller, BODY, 2, X_Static_Large_Object='True')
    assert refused(controller) == backend.UNSUITABLE
    put(controller, BODY, 3, X_Delete_At=str(int(time.time()) + 500))
    disk.OpenObject(controller, TARGET, True).close()


def test_a_disk_that_fails(controller, monkeypatch):
    """Nothing is read after that, above all no other file."""
    put(controller, BODY, 1)
    opened = disk.OpenObject(controller, TARGET, True)

    def fail(*args):
        raise OSError(errno.EIO, 'Input/output error')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'pread', fail)
        with pytest.raises(disk.Refused) as caught:
            opened.read(0, 10)
    assert caught.value.status == 500
    with open(__file__, 'rb'):
        with pytest.raises(disk.Refused):
            opened.read(0, 10)
    opened.close()


def test_a_damaged_object(controller, tmp_path):
    put(controller, BODY, 1)
    file, = tmp_path.glob('d0/objects/*/*/*/*.data')
    with open(file, 'r+b') as stream:
        stream.write(b'wrong')
    opened = disk.OpenObject(controller, TARGET, True)
    checksum = opened.checksum()
    checksum.update(opened.read(0, opened.size))
    with pytest.raises(disk.Refused) as caught:
        opened.check(checksum)
    assert caught.value.status == backend.VOID
    opened.close()
    assert refused(controller) == 404
    assert list(tmp_path.glob('d0/quarantined/objects/*'))
