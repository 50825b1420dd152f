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

"""Objects on the devices of an object server, opened for ranges."""

import hashlib
import os
import random
import time

from swift.common import exceptions
from swift.common.storage_policy import POLICIES
from swift.common.storage_policy import REPL_POLICY
from swift.common.utils import drop_buffer_cache
from swift.common.utils import Timestamp
from swift.common.utils import validate_device_partition

from ai_factory_plugins.swift import backend

# Metadata with which the bytes on disk are those that a client gets, for all
# the middleware knows. With any other, the proxy's pipeline has to look.
_PLAIN_SYSMETA = (
    'x-object-sysmeta-s3api-',
    'x-object-sysmeta-container-update-override-',
)
_SEGMENTED = 'x-static-large-object'
_NOT_PLAIN = frozenset((_SEGMENTED, 'x-object-manifest'))
_OF_MANIFEST = (_SEGMENTED, 'x-object-sysmeta-slo-')


class Refused(Exception):
    """An object cannot be read here.

    :param status: HTTP status, as the object server would have answered, or
        :data:`~ai_factory_plugins.swift.backend.UNSUITABLE`
    """

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def is_plain(metadata):
    """Whether the bytes on disk are what a client is to get.

    Segmented objects, links and encrypted objects are not plain.

    :param metadata: dict of the object's metadata
    """
    for name in metadata:
        name = name.lower()
        if name in _NOT_PLAIN:
            return False
        if name.startswith('x-object-sysmeta-') and not name.startswith(
                _PLAIN_SYSMETA):
            return False
        if name.startswith('x-object-transient-sysmeta-crypto-'):
            return False
    return True


def is_manifest(metadata):
    """Whether the bytes are the manifest of a static large object.

    It is plain otherwise: neither encrypted nor a link.

    :param metadata: dict of the object's metadata
    """
    return any(name.lower() == _SEGMENTED for name in metadata) and is_plain({
        name: value for name, value in metadata.items()
        if not name.lower().startswith(_OF_MANIFEST)})


class OpenObject:
    """An object whose file is open: one version, whatever happens to it.

    A manifest is opened as well, to tell its etag.

    :param controller: Swift's ObjectController
    :param target: a :class:`~ai_factory_plugins.swift.backend.Target`
    :param keep_cache: whether what is read stays in the page cache
    :param known: :class:`~ai_factory_plugins.swift.known.KnownObjects`
    :raises Refused: it is not there, or is not to be read raw
    """

    def __init__(self, controller, target, keep_cache, known):
        self._controller = controller
        self._target = target
        self._keep_cache = keep_cache
        self._disk_file = None
        self._descriptor = None
        found = known.open(target)
        if found is not None:
            self._descriptor, self.etag, self.size, self.manifest = found
            return
        try:
            self._open(known)
        except BaseException:
            self.close()
            raise

    def _open(self, known):
        begun = time.time()
        self._disk_file = _disk_file(self._controller, self._target)
        metadata = _open(self._disk_file)
        self.size = int(metadata['Content-Length'])
        self.etag = metadata['ETag']
        self.manifest = is_manifest(metadata)
        if not (self.manifest or is_plain(metadata)):
            raise Refused(backend.UNSUITABLE, 'not plain')
        try:
            # DiskFile has no method for many ranges of one opened file.
            self._descriptor = self._disk_file._fp.fileno()
        except (AttributeError, OSError):
            raise Refused(backend.UNSUITABLE, 'not a file')
        known.add(self._target, self._disk_file, metadata, begun,
                  self.manifest)

    def read(self, start, length):
        """Some bytes.

        If the disk fails, DiskFile is asked to read there as well, so that
        it puts the object into quarantine where Swift would.

        :raises Refused: they cannot be read
        """
        if self.manifest:
            raise Refused(backend.UNSUITABLE, 'segmented')
        if self._descriptor is None:
            raise Refused(500, 'reading failed before')
        try:
            data = os.pread(self._descriptor, length, start)
            while len(data) < length:
                more = os.pread(
                    self._descriptor, length - len(data), start + len(data))
                if not more:
                    break
                data += more
        except OSError as exc:
            self._quarantine(start, start + length)
            raise Refused(500, f'reading failed: {exc}')
        if len(data) < length:
            raise Refused(500, 'file is shorter than it was')
        if not self._keep_cache:
            drop_buffer_cache(self._descriptor, start, length)
        return data

    def checksum(self):
        """A hash to feed with all that is read of the whole object.

        :returns: MD5, or None if the object server's configuration says that
            this time it is not to be checked
        """
        if random.random() < getattr(
                self._controller, 'etag_validate_frac', 1):
            return hashlib.md5(usedforsecurity=False)
        return None

    def check(self, checksum):
        """See whether all that was read is what was once written.

        :raises Refused: it is not; the object is in quarantine now
        """
        if checksum is not None and checksum.hexdigest() != self.etag:
            self._quarantine(0, None)
            raise Refused(backend.VOID, 'checksum does not match')

    def _quarantine(self, start, stop):
        """Make DiskFile find what was found here, and act as it does."""
        self.close()
        try:
            # Opened anew, so that it judges what is there now. The reader
            # closes the file.
            found = _disk_file(self._controller, self._target)
            _open(found)
            for _ in found.reader().app_iter_range(start, stop):
                pass
        except (OSError, Refused, exceptions.DiskFileError):
            pass  # It has logged that.

    def close(self):
        """Close the file; to do so twice does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        disk_file, self._disk_file = self._disk_file, None
        if disk_file is not None:
            disk_file.__exit__(None, None, None)
        elif descriptor is not None:
            os.close(descriptor)


def _disk_file(controller, target):
    policy = POLICIES.get_by_index(target.policy)
    if policy is None:
        raise Refused(503, 'unknown storage policy')
    if policy.policy_type != REPL_POLICY:
        raise Refused(backend.UNSUITABLE, 'not a replication policy')
    try:
        validate_device_partition(target.device, str(target.partition))
        return controller.get_diskfile(
            target.device, str(target.partition), target.account,
            target.container, target.object, policy=policy)
    except exceptions.DiskFileDeviceUnavailable:
        raise Refused(507, 'device is not available')
    except ValueError as exc:
        raise Refused(400, str(exc))


def _open(disk_file):
    """Open a DiskFile.

    :returns: the object's metadata
    :raises Refused: it cannot be opened
    """
    try:
        disk_file.open(current_time=Timestamp.now())
        return disk_file.get_metadata()
    except exceptions.DiskFileXattrNotSupported:
        raise Refused(507, 'no extended attributes')
    except (exceptions.DiskFileNotExist, exceptions.DiskFileQuarantined):
        raise Refused(404, 'not here')
    except exceptions.DiskFileStateChanged:
        raise Refused(503, 'changing')
    except exceptions.DiskFileCollision:
        raise Refused(403, 'name does not match')


class OpenObjects:
    """The objects of one request, not more of them open than a limit.

    An object that was closed to make room is opened again if it has the same
    etag as before.

    :param controller: Swift's ObjectController
    :param targets: list of :class:`~ai_factory_plugins.swift.backend.Target`
    :param uses: list of how often each will be asked for
    :param limit: how many may be open
    :param keep_cache: whether what is read stays in the page cache
    :param known: :class:`~ai_factory_plugins.swift.known.KnownObjects`
    """

    def __init__(self, controller, targets, uses, limit, keep_cache, known):
        self._controller = controller
        self._targets = targets
        self._uses = uses
        self._limit = limit
        self._keep_cache = keep_cache
        self._known = known
        self._open = {}
        self._refused = {}
        self._etags = {}

    def full(self, number):
        """Whether one has to be closed before that one can be opened."""
        return number not in self._open and len(self._open) >= self._limit

    def get(self, number):
        """An open object.

        :param number: of the target
        :raises Refused: as :class:`OpenObject`, or 409 if it has changed
        """
        if number in self._refused:
            raise self._refused[number]
        found = self._open.pop(number, None)
        if found is None:
            if self.full(number):
                self._open.pop(next(iter(self._open))).close()
            found = self._opened(number)
        self._open[number] = found  # The last one is the latest used.
        return found

    def _opened(self, number):
        try:
            found = OpenObject(
                self._controller, self._targets[number], self._keep_cache,
                self._known)
        except Refused as exc:
            self._refused[number] = exc
            raise
        if self._etags.setdefault(number, found.etag) != found.etag:
            found.close()
            self._refused[number] = Refused(409, 'changed')
            raise self._refused[number]
        return found

    def done(self, number):
        """Tell that one use of a target is over."""
        self._uses[number] -= 1
        if not self._uses[number] and number in self._open:
            self._open.pop(number).close()

    def close(self):
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()
