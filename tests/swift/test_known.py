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

"""What object servers remember of objects, and when they do not."""

import errno
import hashlib
import os
import shutil
import time

import pytest
from swift.common.utils import Timestamp
from swift.obj import diskfile

from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import disk
from ai_factory_plugins.swift import known
from tests.swift import objects as helpers

BODY = bytes(range(256)) * 100
TARGET = helpers.TARGET


@pytest.fixture
def controller(tmp_path, monkeypatch):
    # As if all that is written here had been so for long.
    monkeypatch.setattr(known, 'SETTLED', -3600)
    return helpers.controller(tmp_path, monkeypatch)


@pytest.fixture
def opened(monkeypatch):
    """List that has an item more for each time that DiskFile has opened."""
    found, stock = [], diskfile.DiskFile.open

    def note(self, *args, **kwargs):
        found.append(self)
        return stock(self, *args, **kwargs)
    monkeypatch.setattr(diskfile.DiskFile, 'open', note)
    return found


def read(controller, memory, target=TARGET):
    """All bytes of an object, or the status of the refusal."""
    try:
        found = disk.OpenObject(controller, target, True, memory)
    except disk.Refused as exc:
        return exc.status
    try:
        return found.read(0, found.size)
    except disk.Refused as exc:
        return exc.status
    finally:
        found.close()


def test_a_known_object(controller, opened):
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    for _ in range(3):
        found = disk.OpenObject(controller, TARGET, True, memory)
        assert found.etag == hashlib.md5(BODY).hexdigest()
        assert found.size == len(BODY)
        assert found.read(1000, 70) == BODY[1000:1070]
        found.close()
        found.close()
        with pytest.raises(disk.Refused):
            found.read(0, 1)
    assert len(opened) == 1


def test_what_is_new_is_not_remembered(controller, opened, monkeypatch):
    monkeypatch.setattr(known, 'SETTLED', 3)
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    for _ in range(3):
        assert read(controller, memory) == BODY
    assert len(opened) == 3


@pytest.mark.parametrize('limit, count', [(0, 6), (1, 6), (2, 2)])
def test_limit(controller, opened, limit, count):
    memory = known.KnownObjects(limit)
    other = TARGET._replace(object='other')
    helpers.put(controller, BODY, 1)
    helpers.put(controller, b'other', 1, target=other)
    for _ in range(3):
        assert read(controller, memory) == BODY
        assert read(controller, memory, other) == b'other'
    assert len(opened) == count


def overwrite(controller, tmp_path):
    helpers.put(controller, b'new', 2)
    return b'new'


def overwrite_in_part(controller, tmp_path):
    """A newer file is there, the older has not been deleted yet."""
    file, kept = helpers.data_file(tmp_path), tmp_path / 'kept'
    os.link(file, kept)
    helpers.put(controller, b'new', 2)
    os.rename(kept, file)
    return b'new'


def delete(controller, tmp_path):
    helpers.disk_file(controller).delete(Timestamp(2))
    return 404


def post(controller, tmp_path):
    """New metadata, with which it has expired."""
    helpers.disk_file(controller).write_metadata({
        'X-Timestamp': Timestamp(2).internal, 'X-Delete-At': '5'})
    return 404


def quarantine(controller, tmp_path):
    found = helpers.disk_file(controller)
    found.open()
    found.manager.quarantine_renamer(
        str(tmp_path / 'd0'), found._fp.name)
    found.__exit__(None, None, None)
    return 404


def remove(controller, tmp_path):
    shutil.rmtree(next(tmp_path.glob('d0/objects/*/*/*')))
    return 404


def truncate(controller, tmp_path):
    os.truncate(helpers.data_file(tmp_path), 5)
    return 404


def spoil_metadata(controller, tmp_path):
    os.setxattr(helpers.data_file(tmp_path), 'user.swift.metadata', b'spoiled')
    return 404


def unmount(controller, tmp_path):
    os.rename(tmp_path / 'd0', tmp_path / 'elsewhere')
    return 507


@pytest.mark.parametrize('change', [
    overwrite, overwrite_in_part, delete, post, quarantine, remove, truncate,
    spoil_metadata, unmount])
def test_what_changes_is_not_known(controller, tmp_path, change):
    """DiskFile is asked again, and its decision holds."""
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    assert read(controller, memory) == BODY
    begun = disk.OpenObject(controller, TARGET, True, memory)
    expected = change(controller, tmp_path)
    assert read(controller, memory) == expected
    assert read(controller, memory) == expected
    if change is not truncate:
        # What is being read is one version.
        assert begun.read(0, begun.size) == BODY
    begun.close()


def test_expiry(controller, monkeypatch):
    memory = known.KnownObjects(5)
    at = int(time.time()) + 1000
    helpers.put(controller, BODY, 1, X_Delete_At=str(at))
    for _ in range(2):
        assert read(controller, memory) == BODY
    with monkeypatch.context() as patch:
        patch.setattr(time, 'time', lambda: at)
        assert read(controller, memory) == 404
        assert read(controller, memory) == 404


def test_metadata_of_its_own_file(controller, opened):
    """What has such a file is left to DiskFile."""
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    helpers.disk_file(controller).write_metadata({
        'X-Timestamp': Timestamp(2).internal, 'X-Object-Meta-A': 'b'})
    for _ in range(3):
        assert read(controller, memory) == BODY
    assert len(opened) == 3


def test_what_is_not_plain(controller):
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1, X_Object_Manifest='c/segments')
    for _ in range(3):
        assert read(controller, memory) == backend.UNSUITABLE


def test_a_manifest(controller, opened):
    """That an object is one is remembered, and not what is in it."""
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1, X_Static_Large_Object='True')
    for _ in range(3):
        assert read(controller, memory) == backend.UNSUITABLE
    assert len(opened) == 1
    helpers.put(controller, BODY, 2)
    assert read(controller, memory) == BODY


def test_a_known_object_that_is_damaged(controller, tmp_path):
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    helpers.damage(tmp_path)
    assert read(controller, memory) == b'wrong' + BODY[5:]
    helpers.check_damage(
        disk.OpenObject(controller, TARGET, True, memory), tmp_path)
    assert read(controller, memory) == 404


def test_a_known_object_on_a_disk_that_fails(controller, monkeypatch):
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    assert read(controller, memory) == BODY
    found = disk.OpenObject(controller, TARGET, True, memory)

    def fail(*args):
        raise OSError(errno.EIO, 'Input/output error')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'pread', fail)
        for _ in range(2):
            with pytest.raises(disk.Refused) as caught:
                found.read(0, 10)
            assert caught.value.status == 500
    found.close()
    assert read(controller, memory) == BODY


def test_headers_are_of_the_file_that_is_open(controller):
    memory = known.KnownObjects(5)
    helpers.put(controller, BODY, 1)
    read(controller, memory)
    old = disk.OpenObject(controller, TARGET, True, memory)
    memory.note(TARGET, old._descriptor, {'of': 'old'})
    assert memory.headers(TARGET, old._descriptor) == {'of': 'old'}
    helpers.put(controller, BODY, 2)
    new = disk.OpenObject(controller, TARGET, True, memory)
    assert memory.headers(TARGET, new._descriptor) is None
    assert memory.headers(TARGET, old._descriptor) is None
    memory.note(TARGET, old._descriptor, {'of': 'old'})
    assert memory.headers(TARGET, new._descriptor) is None
    memory.note(TARGET, new._descriptor, {'of': 'new'})
    assert memory.headers(TARGET, new._descriptor) == {'of': 'new'}
    for item in (old, new):
        item.close()
