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
"""The tier on disk: which files there are, and what is written."""

import collections

from ai_factory_plugins.swift.cache import fifo
from ai_factory_plugins.swift.cache import files

_QUEUE = 64  # blocks that wait to be written; more are not written


class Tier:
    """Blocks on a disk.

    Only what touches the disk goes through ``call``, which may run it in a
    thread; all else is for one thread.

    :param path: directory
    :param limit: bytes
    :param call: runs a function with its arguments and returns its result
    :param logger: a logger
    """

    def __init__(self, path, limit, call, logger):
        self._path = path
        self._call = call
        self._logger = logger
        self._index = fifo.Fifo(limit, self._put_out)
        self._directory = None
        self._gone = []
        self._waiting = collections.deque()
        self._writing = None  # name of a file that is not there yet
        self.evictions = 0

    @property
    def is_open(self):
        return self._directory is not None

    @property
    def cost(self):
        """Bytes that are on disk."""
        return self._index.cost

    def __len__(self):
        return len(self._index)

    def open(self):
        """Find what an earlier process has left.

        :raises OSError: the directory cannot be used
        """
        directory = self._call(files.Directory, self._path)
        for item, size in self._call(directory.scan):
            if not self._index.put(item, size, size):
                self._gone.append((item, size))
        self._directory = directory
        self._delete()

    def get(self, key):
        """A block, or None."""
        if self._directory is None:
            return None
        item = files.name(key)
        size = self._index.get(item)
        if size is None or item == self._writing:
            return None
        content = self._call(self._directory.read, item, size)
        data = None if content is None else files.decode(key, content)
        # It may have been put out meanwhile, and be on its way again.
        if data is None and item != self._writing and (
                self._index.get(item) == size):
            self._logger.warning(
                'A block on disk is damaged or foreign: %s in %s', item,
                self._path)
            self._index.discard(item)
            self._call(self._directory.delete, item, size)
        return data

    def put(self, key, data):
        """Remember to write a block; it is dropped when too many wait.

        :returns: whether :meth:`write` is to be called
        """
        if self._directory is None or len(self._waiting) >= _QUEUE:
            return False
        self._waiting.append((key, data))
        return len(self._waiting) == 1

    def write(self):
        """Write all blocks that wait."""
        while self._waiting:
            key, data = self._waiting[0]
            try:
                self._write(key, data)
            except OSError as exc:
                self._logger.error(
                    'A block is not written to %s: %s', self._path, exc)
            except Exception:
                # The others are written none the less.
                self._logger.exception('A block is not written')
            finally:
                self._waiting.popleft()

    def _write(self, key, data):
        item, content = files.name(key), files.encode(key, data)
        if item in self._index:
            return
        # Room is made before it is used.
        self._writing = item
        try:
            if self._index.put(item, len(content), len(content)):
                self._delete()
                self._call(self._directory.write, item, content)
        except OSError:
            self._index.discard(item)
            raise
        finally:
            self._writing = None

    def _put_out(self, item, size):
        self.evictions += 1
        self._gone.append((item, size))

    def _delete(self):
        while self._gone:
            self._call(self._directory.delete, *self._gone.pop())
