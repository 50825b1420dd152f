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
"""Blocks in files, of which none is believed.

A file has a head with a magic number and the version of the format, the key of
the block as JSON, the block, and a digest of all that. It is written under
another name and renamed. What is torn, changed, foreign or of another version
is deleted when it is found, and never served. Nothing is synced: after a power
failure the digest tells what has become of a file.
"""

import fcntl
import hashlib
import json
import os
import re
import struct

VERSION = 1
_MAGIC = b'AFBC'
_HEAD = struct.Struct('>4sHIQ')  # magic, version, bytes of key, of block
_DIGEST = 16
_NAME = re.compile(r'([0-9a-f]{40})-([0-9]{1,12})\.block\Z')
_TEMPORARY = '.temporary'
_SLOTS = 1024


def encode(key, data):
    """The content of a file.

    :param key: of the block: a list or tuple that JSON can hold
    :param data: bytes
    """
    text = _text(key)
    content = _HEAD.pack(_MAGIC, VERSION, len(text), len(data)) + text + data
    return content + _digest(content)


def decode(key, content):
    """The block in a file.

    :param key: that it has to have
    :param content: bytes
    :returns: bytes, or None if the file is anything but that block
    """
    text = _text(key)
    if len(content) < _HEAD.size + len(text) + _DIGEST:
        return None
    head = _HEAD.pack(_MAGIC, VERSION, len(text), len(content) - (
        _HEAD.size + len(text) + _DIGEST)) + text
    if not content.startswith(head):
        return None
    if _digest(content[:-_DIGEST]) != content[-_DIGEST:]:
        return None
    return content[len(head):-_DIGEST]


def name(key):
    """First part of the name of the file of a block."""
    return hashlib.blake2b(_text(key), digest_size=20).hexdigest()


def _text(key):
    return json.dumps(key, separators=(',', ':')).encode('ascii')


def _digest(content):
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()


class Directory:
    """The files of one process.

    The processes of a server share a directory, and each has a part of it for
    itself, which it locks while it lives. Safe for threads.

    :param path: directory that the operator has given
    :raises OSError: it cannot be used
    """

    def __init__(self, path):
        self._lock = None
        for number in range(_SLOTS):
            self._path = os.path.join(path, f'block-cache-{number}')
            os.makedirs(self._path, mode=0o700, exist_ok=True)
            lock = os.open(
                os.path.join(self._path, 'lock'), os.O_RDWR | os.O_CREAT,
                0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            self._lock = lock
            return
        raise OSError(f'{path} has no free part')

    def scan(self):
        """Delete what is torn, and list what there is, the oldest first.

        Files that no version of this has written are left alone.

        :returns: list of (name, bytes of the file)
        """
        found = []
        for folder in self._folders():
            for entry in os.scandir(folder):
                if entry.name.endswith(_TEMPORARY):
                    _unlink(entry.path)
                    continue
                match = _NAME.match(entry.name)
                if match is None or not entry.is_file(follow_symlinks=False):
                    continue
                info = entry.stat(follow_symlinks=False)
                if info.st_size != int(match[2]):
                    _unlink(entry.path)
                    continue
                found.append((info.st_mtime_ns, match[1], info.st_size))
        return [(item, size) for _, item, size in sorted(found)]

    def _folders(self):
        for number in range(256):
            folder = os.path.join(self._path, f'{number:02x}')
            if os.path.isdir(folder):
                yield folder

    def _file(self, item, size):
        return os.path.join(self._path, item[:2], f'{item}-{size}.block')

    def write(self, item, content):
        """Write a file.

        :raises OSError: it is not written
        """
        path = self._file(item, len(content))
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        temporary = path + _TEMPORARY
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, 'wb') as file:
                file.write(content)
            os.rename(temporary, path)
        except OSError:
            _unlink(temporary)
            raise

    def read(self, item, size):
        """The content of a file, or None if there is none."""
        try:
            with open(self._file(item, size), 'rb') as file:
                return file.read(size + 1)
        except OSError:
            return None

    def delete(self, item, size):
        """Delete a file that may be missing."""
        _unlink(self._file(item, size))

    def close(self):
        """Let another process have the part."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _unlink(path):
    try:
        os.unlink(path)
    except OSError:
        pass  # Another has done it, or it will not be believed anyway.
