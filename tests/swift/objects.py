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

from swift.common import storage_policy
from swift.common.utils import Timestamp
from swift.obj import server

from ai_factory_plugins.swift import backend

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
