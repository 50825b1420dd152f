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

"""Objects on a directory, written by Swift's own DiskFile."""

import hashlib

import pytest
from swift.common import storage_policy
from swift.common.utils import Timestamp
from swift.obj import server

from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import disk

TARGET = backend.Target('d0', 7, 0, 'AUTH_a', 'c', 'o')


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


def disk_file(controller, target=TARGET):
    return controller.get_diskfile(
        target.device, str(target.partition), *target[3:],
        policy=storage_policy.POLICIES[0])


def data_file(tmp_path):
    """The file of the one object that there is."""
    file, = tmp_path.glob('d0/objects/*/*/*/*.data')
    return file


def damage(tmp_path):
    """Change the first bytes of the one object that there is."""
    with open(data_file(tmp_path), 'r+b') as stream:
        stream.write(b'wrong')


def check_damage(opened, tmp_path):
    """See that an object that is open is found to be damaged."""
    checksum = opened.checksum()
    checksum.update(opened.read(0, opened.size))
    with pytest.raises(disk.Refused) as caught:
        opened.check(checksum)
    assert caught.value.status == backend.VOID
    opened.close()
    assert list(tmp_path.glob('d0/quarantined/objects/*'))


def put(controller, body, at, target=TARGET, **metadata):
    """Write an object.

    :param at: its time, in seconds
    """
    with disk_file(controller, target).create() as writer:
        writer.write(body)
        writer.put({
            'X-Timestamp': Timestamp(at).internal, 'ETag': hashlib.md5(
                body, usedforsecurity=False).hexdigest(),
            'Content-Length': str(len(body)), 'Content-Type': 'x',
            **{name.replace('_', '-'): value
               for name, value in metadata.items()}})
        writer.commit(Timestamp(at))
