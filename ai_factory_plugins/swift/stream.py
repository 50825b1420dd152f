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

"""One request of the proxy to an object server, and its answer."""

import collections
import time

from eventlet import Timeout
from swift.common.exceptions import ChunkReadTimeout
from swift.common.exceptions import ConnectionTimeout
from swift.common.utils import Timestamp
from swift.common.utils import WatchdogTimeout

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import wire

# Bytes of JSON that an object server gets in one request, about, and what
# a character, an entry and a range have at most.
_LARGE = 1024 * 1024
_ESCAPED, _READ, _RANGE = 6, 256, 48
# Seconds after which an object server may have given up on a proxy that did
# not read, since its client did not.
_PATIENCE = 10
# Seconds that the end of an answer may take when all else has come.
_FAREWELL = 0.5


class StreamFailed(Exception):
    """No more can be had of this stream.

    :param blame: whether the server is to blame
    """

    def __init__(self, reason, blame=True):
        super().__init__(reason)
        self.blame = blame


class Unsupported(StreamFailed):
    """The server does not have the filter."""


class BackendStream:
    """Ranges from one object server.

    :param app: Swift's proxy application, for its timeouts
    :param server: (ip, port)
    :param trans_id: transaction id of the client's request
    :param with_headers: whether to ask for the objects' headers as well
    """

    def __init__(self, app, server, trans_id, with_headers=False):
        self._app = app
        self.server = server
        self._trans_id = trans_id
        self._with_headers = with_headers
        self.targets = []
        self._numbers = {}
        self._size = 0
        self.nodes = {}  # by name of the device
        self.reads = []
        #: what has been asked for and is not finished, in order
        self.pending = collections.deque()
        self._wire = None
        self._begun = False
        self._failure = None
        self._read_at = time.monotonic()

    def add(self, item, target, ranges, etag, node):
        """Ask for ranges of an object; only before :meth:`send`.

        :param item: what stands for them in :attr:`pending`; items are added
            in the order in which they will be read
        :param target: fields of a
            :class:`~ai_factory_plugins.swift.backend.Target`
        :param ranges: ranges to read
        :param etag: what the object has to have, or None
        :param node: the device in the ring
        :returns: the number of the frames that answer it
        """
        number = self._numbers.get(target)
        if number is None:
            number = self._numbers[target] = len(self.targets)
            self.targets.append(target)
            self._size += _ESCAPED * sum(map(len, target[3:]))
        self.nodes[target[0]] = node
        self.reads.append((len(self.reads), number, ranges, etag))
        self.pending.append(item)
        self._size += _READ + _RANGE * len(ranges)
        return len(self.reads) - 1

    @property
    def is_full(self):
        """Whether the request has as much as is good for the server."""
        return self._size > _LARGE

    def send(self, block):
        """Connect, and send the request; a failure shows when reading.

        :param block: how many bytes of the answer to receive at once
        """
        body = backend.dump(self.targets, self.reads)
        headers = {
            'Content-Length': str(len(body)),
            'Content-Type': 'application/json',
            'X-Timestamp': Timestamp.now().internal,
            'X-Trans-Id': self._trans_id or '-',
            'User-Agent': self._app.backend_user_agent,
        }
        if self._with_headers:
            headers[backend.WITH_HEADERS] = 'true'
        try:
            with ConnectionTimeout(self._app.conn_timeout):
                self._wire = wire.Wire(self.server, block)
            with Timeout(self._app.node_timeout):
                self._wire.send(backend.METHOD, backend.PATH, headers, body)
        except (Exception, Timeout) as exc:
            self._failure = StreamFailed(f'connecting failed: {exc!r}')

    def frame(self):
        """The next frame.

        :raises StreamFailed: there is none
        """
        if self._failure is not None:
            raise self._failure
        waited = time.monotonic() - self._read_at
        try:
            if not self._begun:
                self._begin()
            with WatchdogTimeout(
                    self._app.watchdog, self._app.recoverable_node_timeout,
                    ChunkReadTimeout):
                found = frames.read(self._wire.receive)
        except StreamFailed as exc:
            self._failure = exc
            raise
        except (Exception, Timeout) as exc:
            self._failure = StreamFailed(
                f'reading failed: {exc!r}', blame=waited < _PATIENCE)
            raise self._failure
        self._read_at = time.monotonic()
        return found

    def _begin(self):
        """Wait for the answer."""
        with Timeout(self._app.recoverable_node_timeout):
            status, kind = self._wire.begin()
        self._begun = True
        if status in (400, 404, 405, 501):
            raise Unsupported(f'the filter is not there ({status})')
        if status == 413:
            raise StreamFailed('the request is too large', blame=False)
        if status != 200 or kind != frames.CONTENT_TYPE:
            raise StreamFailed(f'status {status}')

    def frame_of(self, number):
        """The next frame with a number; what is left of others is dropped.

        :param number: as :meth:`add` has returned it
        :raises StreamFailed: there is none
        """
        while True:
            found = self.frame()
            if found.kind != frames.END:
                if found.entry == number:
                    return found
                if found.entry < number:
                    continue
            self._failure = StreamFailed('the answer is out of step')
            raise self._failure

    def finish(self):
        """Close the connection, after the end of the answer if it is near.

        A server that is not heard to the end takes that for an error.
        """
        if self._failure is None:
            try:
                with Timeout(_FAREWELL):
                    while self.frame().kind != frames.END:
                        pass
            except (StreamFailed, Timeout):
                pass
        self.close()

    def close(self):
        """Give up the connection; to do so twice does no harm."""
        found, self._wire = self._wire, None
        self._failure = self._failure or StreamFailed('closed', blame=False)
        if found is not None:
            found.close()
