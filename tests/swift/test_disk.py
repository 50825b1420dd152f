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
from swift.common.utils import Timestamp

from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import disk
from ai_factory_plugins.swift import known
from tests.swift import objects as helpers

TARGET = helpers.TARGET
BODY = bytes(range(256)) * 1000
NONE = known.KnownObjects(0)


@pytest.fixture
def controller(tmp_path, monkeypatch):
    return helpers.controller(tmp_path, monkeypatch)


def refused(controller, target=TARGET):
    with pytest.raises(disk.Refused) as caught:
        disk.OpenObject(controller, target, True, NONE)
    return caught.value.status


@pytest.mark.parametrize('keep_cache', [True, False])
def test_reads(controller, keep_cache):
    helpers.put(controller, BODY, 1)
    opened = disk.OpenObject(controller, TARGET, keep_cache, NONE)
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
    helpers.put(controller, BODY, 1)
    opened = disk.OpenObject(controller, TARGET, True, NONE)
    helpers.put(controller, b'new', 2)
    assert opened.read(0, 10) == BODY[:10]
    helpers.disk_file(controller).delete(Timestamp(3))
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
    helpers.put(controller, BODY, 1, X_Delete_At=str(int(time.time()) - 5))
    assert refused(controller) == 404
    helpers.put(controller, BODY, 2, X_Object_Manifest='c/segments')
    assert refused(controller) == backend.UNSUITABLE
    helpers.put(controller, BODY, 3, X_Delete_At=str(int(time.time()) + 500))
    disk.OpenObject(controller, TARGET, True, NONE).close()


def test_a_manifest(controller):
    """It tells its etag, and gives nothing of what is in it."""
    helpers.put(controller, BODY, 1, X_Static_Large_Object='True',
                X_Object_Sysmeta_Slo_Etag='of all', X_Object_Meta_Color='red')
    opened = disk.OpenObject(controller, TARGET, True, NONE)
    assert opened.manifest
    assert opened.etag == hashlib.md5(BODY).hexdigest()
    with pytest.raises(disk.Refused) as caught:
        opened.read(0, 10)
    assert caught.value.status == backend.UNSUITABLE
    opened.close()


def test_a_manifest_that_is_encrypted(controller):
    helpers.put(controller, BODY, 1, X_Static_Large_Object='True',
                X_Object_Sysmeta_Crypto_Body_Meta='{}')
    assert refused(controller) == backend.UNSUITABLE


def test_a_disk_that_fails(controller, monkeypatch):
    """Nothing is read after that, above all no other file."""
    helpers.put(controller, BODY, 1)
    opened = disk.OpenObject(controller, TARGET, True, NONE)

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
    helpers.put(controller, BODY, 1)
    helpers.damage(tmp_path)
    opened = disk.OpenObject(controller, TARGET, True, NONE)
    helpers.check_damage(opened, tmp_path)
    assert refused(controller) == 404
