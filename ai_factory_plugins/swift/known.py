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

"""What DiskFile has found out about objects, remembered while it holds.

To open an object, DiskFile lists its directory, reads and verifies the
metadata, and decides. The same files lead to the same decision, so it is kept
with what tells that they are the same: device, inode and times of the
directory and of the file. Whatever comes later, a newer file, a tombstone,
new metadata, quarantine, a disk that is unmounted, changes one of them, and
DiskFile is asked again. Only what may be read is remembered, and manifests of
large objects, while refusals are not; and no file is held open.

A time tells of a change only if the clock of the file system has moved since.
So nothing is remembered that has changed within the last seconds before
DiskFile has looked.
"""

import os
import time
import typing

SETTLED = 3  #: seconds; file systems have times of at most two


class Known(typing.NamedTuple):
    """An object that may be read as it is, or a manifest.

    :param path: of the file
    :param directory: signature of the directory
    :param file: signature of the file
    :param etag: without quotes
    :param size: in bytes
    :param delete_at: time from which on it has expired, or None
    :param manifest: whether it is the manifest of a large object
    :param headers: those of a GET, or None if nobody has asked for them
    """

    path: str
    directory: tuple
    file: tuple
    etag: str
    size: int
    delete_at: int | None
    manifest: bool = False
    headers: dict | None = None


class KnownObjects:
    """The objects that were read last, in one process.

    :param limit: how many; 0 for none
    """

    def __init__(self, limit):
        self._limit = limit
        self._found = {}

    def open(self, target):
        """Open an object, if it is as it was.

        :param target: a :class:`~ai_factory_plugins.swift.backend.Target`
        :returns: (descriptor, etag, size, whether it is a manifest), or None:
            ask DiskFile
        """
        known = self._found.pop(target, None)
        if known is None or (
                known.delete_at is not None
                and known.delete_at <= time.time()):
            return None
        try:
            if _signature(os.stat(os.path.dirname(known.path))) != (
                    known.directory):
                return None
            descriptor = os.open(known.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            same = _signature(os.fstat(descriptor)) == known.file
        except OSError:
            same = False
        if not same:
            os.close(descriptor)
            return None
        self._found[target] = known  # The last one is the latest used.
        return descriptor, known.etag, known.size, known.manifest

    def headers(self, target, descriptor):
        """The headers of an object that is open, if they were noted.

        :param descriptor: of its file
        :returns: dict, or None
        """
        known = self._same(target, descriptor)
        return None if known is None else known.headers

    def note(self, target, descriptor, headers):
        """Remember the headers of an object that is open.

        :param descriptor: of its file
        """
        known = self._same(target, descriptor)
        if known is not None:
            self._found[target] = known._replace(headers=headers)

    def _same(self, target, descriptor):
        """What is known of the file that is open, not of a newer one."""
        known = self._found.get(target)
        if known is not None and known.file == _signature(
                os.fstat(descriptor)):
            return known
        return None

    def add(self, target, disk_file, metadata, begun, manifest=False):
        """Remember what DiskFile has found.

        :param disk_file: DiskFile, open
        :param metadata: of the object; that it may be read is certain
        :param begun: time before it was opened
        :param manifest: whether it is the manifest of a large object
        """
        if not self._limit:
            return
        try:
            # A .meta file can be changed without a trace in its directory.
            if disk_file.get_metafile_metadata() is not None:
                return
            stream = disk_file._fp
            path, of_file = stream.name, os.fstat(stream.fileno())
            of_directory = os.stat(os.path.dirname(path))
        except (AttributeError, TypeError, OSError):
            return  # It is not a file of Swift's own DiskFile.
        newest = max(of_file.st_ctime, of_file.st_mtime,
                     of_directory.st_ctime, of_directory.st_mtime)
        if newest >= begun - SETTLED:
            return
        delete_at = metadata.get('X-Delete-At')
        self._found[target] = Known(
            path, _signature(of_directory), _signature(of_file),
            metadata['ETag'], int(metadata['Content-Length']),
            None if delete_at is None else int(delete_at), manifest)
        if len(self._found) > self._limit:
            del self._found[next(iter(self._found))]


def _signature(found):
    """What tells files and their states from each other."""
    return (found.st_ino, found.st_ctime_ns, found.st_mtime_ns,
            found.st_size, found.st_dev)
