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

"""The headers of an object, as the object server gives them in a GET."""

import math
import time

from swift.common.exceptions import DiskFileError
from swift.common.request_helpers import is_object_transient_sysmeta
from swift.common.request_helpers import is_sys_or_user_meta
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp

_LIMIT = 16 * 1024  # characters; in JSON, a frame has room for them


class Headers:
    """The headers of the objects of one request.

    :param controller: Swift's ObjectController
    :param targets: list of :class:`~ai_factory_plugins.swift.backend.Target`
    :param known: a :class:`~ai_factory_plugins.swift.known.KnownObjects`
    """

    def __init__(self, controller, targets, known):
        self._controller = controller
        self._targets = targets
        self._known = known
        self._found = {}

    def of(self, number, opened):
        """Those of an object.

        :param number: of the target
        :param opened: an :class:`~ai_factory_plugins.swift.disk.OpenObject`
        :returns: dict; empty if they are not to be had
        """
        if number not in self._found:
            self._found[number] = self._find(self._targets[number], opened)
        return self._found[number]

    def _find(self, target, opened):
        if opened._disk_file is None:
            found = self._known.headers(target, opened._descriptor)
            if found is not None:
                return found
            found = self._read(target, opened.etag)
        else:
            found = of(self._controller, opened._disk_file)
        if found:
            self._known.note(target, opened._descriptor, found)
        return found

    def _read(self, target, etag):
        """Ask DiskFile, where the object was opened without it."""
        disk_file = self._controller.get_diskfile(
            target.device, str(target.partition), target.account,
            target.container, target.object,
            policy=POLICIES.get_by_index(target.policy))
        try:
            with disk_file.open(current_time=Timestamp.now()):
                if disk_file.get_metadata()['ETag'] != etag:
                    return {}
                return of(self._controller, disk_file)
        except DiskFileError:
            return {}  # It is gone by now.


def of(controller, disk_file):
    """The headers that tell of an object, and not of an answer.

    :param controller: Swift's ObjectController
    :param disk_file: a DiskFile, open
    :returns: dict; empty if they are too much for a frame
    """
    metadata = disk_file.get_metadata()
    changed = Timestamp(metadata['X-Timestamp'])
    found = {'Content-Type': 'application/octet-stream'}
    for name, value in metadata.items():
        if (name in ('Content-Type', 'Content-Encoding')
                or is_sys_or_user_meta('object', name)
                or is_object_transient_sysmeta(name)
                or name.lower() in controller.allowed_headers):
            found[name] = value
    found.update({
        'ETag': metadata['ETag'],
        'Last-Modified': _date(changed),
        'X-Timestamp': changed.normal,
        'X-Backend-Timestamp': changed.internal,
        'X-Backend-Data-Timestamp': disk_file.data_timestamp.internal})
    if disk_file.durable_timestamp:
        found['X-Backend-Durable-Timestamp'] = (
            disk_file.durable_timestamp.internal)
    size = sum(len(name) + len(value) for name, value in found.items())
    return found if size <= _LIMIT else {}


def _date(changed):
    """A time as HTTP has it, not before the object was written."""
    return time.strftime('%a, %d %b %Y %H:%M:%S GMT',
                         time.gmtime(math.ceil(float(changed))))
