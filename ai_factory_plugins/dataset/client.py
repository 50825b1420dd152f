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

"""Read ranges of many objects of Swift, in few requests.

::

    reader = client.BatchReader(storage_url, token)
    wanted = [client.Item('shard-0.tar', [(0, 4095), (8192, 12287)]),
              client.Item('shard-1.tar', [(None, 1024)])]
    for result in reader.read(wanted, container='train'):
        result.check()
        header, body = result.data

On a cluster without the middleware the same is read with a GET for each
range.
"""

import collections
import itertools
import typing

from ai_factory_plugins.dataset import connection
from ai_factory_plugins.dataset import entries
from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import plain
from ai_factory_plugins.dataset import ranges as range_math

INFO = 'batch_read'
_LIMITS = ('max_entries', 'max_ranges', 'max_body')


class Item(typing.NamedTuple):
    """What is wanted of one object.

    :param object: name
    :param ranges: list of (first, last), both inclusive, (first, None) to the
        end, (None, n) for the last n bytes; empty for the whole object
    :param container: name; None for that of the call
    :param etag: what the object has to have, or None
    """

    object: str
    ranges: typing.Sequence = ()
    container: str | None = None
    etag: str | None = None


class Result(typing.NamedTuple):
    """What came of an item.

    :param item: the item
    :param status: HTTP status; 200 and 206 stand for success
    :param reason: text for people, if it failed
    :param etag: of the object, if known
    :param size: of the object in bytes, if known
    :param data: list of bytes, one for each range
    """

    item: Item
    status: int
    reason: str = ''
    etag: str | None = None
    size: int | None = None
    data: typing.Sequence = ()

    def check(self):
        """Be sure that it is a success.

        :raises ServerError: it is not
        """
        if self.status not in (200, 206):
            raise connection.ServerError(
                self.status, f'{self.item.object}: {self.reason}')


class _Partial:
    """An entry of which a part has been received."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.meta = None
        self.parts = None
        self.status = None
        self.chunks = []
        self.size = 0

    def result(self, item):
        # Most often there is one chunk, which is then copied at most once.
        data = (self.chunks[0] if len(self.chunks) == 1
                else b''.join(self.chunks))
        if len(self.parts) == 1:
            found = [bytes(data)]
        else:
            cuts = itertools.accumulate(
                (length for _, length in self.parts), initial=0)
            found = [bytes(data[start:end])
                     for start, end in itertools.pairwise(cuts)]
        return Result(item, self.status, '', self.meta.get('etag'),
                      self.meta.get('size'), found)


class BatchReader:
    """Reads from one account.

    :param url: URL of the account, see :class:`~connection.Connections`
    :param token: token, None, or a callable that returns one
    :param batch: how many items a request has at most
    :param attempts: how often a request without progress is sent
    :param timeout: seconds that the server may be silent
    :param clients: how many GETs are sent at once where there are no batches
    """

    def __init__(self, url, token=None, batch=256, attempts=4, timeout=60,
                 clients=8):
        self._connections = connection.Connections(url, token, timeout)
        self._plain = plain.PlainReader(self._connections, attempts, clients)
        self._batch = batch
        self._attempts = attempts
        self._limits = None

    def limits(self):
        """What the cluster says about batches.

        :returns: dict; empty if it has none, or none for a temporary URL
        """
        if self._connections.signature:
            return {}
        if self._limits is None:
            found = self._connections.info(self._attempts).get(INFO, {})
            self._limits = found if (
                isinstance(found, dict)
                and found.get('version') == entries.VERSION
                and all(type(found.get(name)) is int and found[name] > 0
                        for name in _LIMITS)) else {}
        return self._limits

    def read(self, items, container=None):
        """Read items.

        :param items: iterable of :class:`Item`; it is read as needed
        :param container: of the items that do not name one
        :returns: iterator of :class:`Result`, in the order of the items
        :raises ServerError: a batch is refused as a whole
        :raises OSError: the server cannot be reached
        """
        items = iter(items)
        batch = self._batch
        limits = self.limits()
        if limits:
            batch = min(batch, limits['max_entries'])
        while some := list(itertools.islice(items, batch)):
            some = [item if item.container else item._replace(
                container=container) for item in some]
            if limits:
                for group, lines in _groups(some, limits):
                    yield from self._send(group, lines)
            else:
                for item, found in zip(some, self._plain.read(some)):
                    yield Result(item, *found)

    def _send(self, items, lines):
        """Read a batch, with as many requests as it takes.

        :param lines: what asks for each item
        """
        left, partial, failures = collections.deque(items), _Partial(), 0
        while left:
            before = len(left), partial.size
            try:
                response = self._post(
                    left, lines[len(lines) - len(left):], partial)
                yield from self._receive(response, left, partial)
            except (*connection.FAILURES, frames.FrameError):
                self._connections.close()
            except GeneratorExit:
                self._connections.close()
                raise
            if (len(left), partial.size) == before:
                failures += 1
                if failures >= self._attempts:
                    raise ConnectionError(
                        f'no progress after {failures} requests')
                connection.pause(failures)
            else:
                failures = 0

    def _post(self, left, lines, partial):
        """Ask for what is left.

        :raises ServerError: refused
        """
        if partial.size:
            lines[0] = _line(left[0]._replace(
                ranges=range_math.after(partial.parts, partial.size),
                etag=partial.meta.get('etag') or None))
        response = self._connections.request(
            'POST', self._connections.path,
            b''.join(lines),
            {'Content-Type': entries.CONTENT_TYPE},
            f'?{entries.PARAMETER}={entries.VERSION}')
        if response.status != 200:
            text = response.read(1024).decode('utf-8', 'replace')
            self._connections.close()
            if response.status in connection.RETRIED:
                raise ConnectionError(f'{response.status}: {text}')
            raise connection.ServerError(response.status, text)
        kind = response.getheader('Content-Type', '')
        if kind != frames.CONTENT_TYPE:
            self._connections.close()
            if frames.CONTENT_TYPE.startswith(kind):
                # http.client does not tell that headers have ended early.
                raise ConnectionError('the headers are cut short')
            raise connection.ServerError(501, 'not the answer to a batch')
        return response

    def _receive(self, response, left, partial):
        """Take the results out of an answer."""
        count, expected = len(left), 0
        pieces = frames.Pieces(response.read1, response.readinto)
        while True:
            frame = frames.read(pieces.receive)
            if frame.kind == frames.END:
                if expected != count or frame.entry != count:
                    raise frames.FrameError('entries are missing')
                response.read()
                return
            if frame.entry != expected or not left:
                raise frames.FrameError('entries are out of order')
            if frame.status == 413 and expected:
                # The rest is for another batch.
                self._connections.close()
                return
            if self._take(frame, partial):
                item = left[0]
                if partial.status in (200, 206):
                    result = partial.result(item)
                else:
                    result = self._again(item, partial)
                left.popleft()
                partial.reset()
                expected += 1
                yield result

    def _again(self, item, partial):
        """What becomes of an item that has failed."""
        status = partial.status
        if status in connection.RETRIED or status == 413 or partial.size:
            # By another thread: this one's connection has the batch.
            found, = self._plain.read([item])
            return Result(item, *found)
        return Result(item, status, partial.meta.get('reason', ''),
                      partial.meta.get('etag'), partial.meta.get('size'))

    @staticmethod
    def _take(frame, partial):
        """Take in a frame; whether it is the last one of its entry."""
        if frame.kind == frames.ENTRY:
            meta = frame.meta
            if frame.status in (200, 206):
                parts = _parts(meta)
                if not partial.size:
                    partial.status = frame.status
                    partial.meta, partial.parts = meta, parts
                elif range_math.total(parts) + partial.size != (
                        range_math.total(partial.parts)):
                    raise frames.FrameError('not what was left')
            else:
                partial.meta, partial.status = meta, frame.status
                return True
        elif frame.kind == frames.ABORT:
            partial.meta, partial.status = frame.meta, frame.status
            return True
        if partial.parts is None:
            raise frames.FrameError('data without an entry')
        if len(frame.data):
            partial.chunks.append(frame.data)
            partial.size += len(frame.data)
        wanted = range_math.total(partial.parts)
        if partial.size > wanted:
            raise frames.FrameError('more data than was announced')
        return partial.size == wanted


def _parts(meta):
    """The parts that an entry is said to have.

    :raises FrameError: they are malformed
    """
    parts = meta.get('parts')
    if isinstance(parts, list) and parts and all(map(_is_part, parts)):
        return parts
    raise frames.FrameError('an entry without parts')


def _is_part(part):
    return isinstance(part, list) and len(part) == 2 and all(
        type(number) is int and number >= 0 for number in part)


def _line(item):
    """The line of a request that asks for an item."""
    return entries.Entry(0, item.container, item.object, tuple(item.ranges),
                         item.etag).line()


def _groups(items, limits):
    """Items and their lines, in groups that one request may have."""
    group, lines, count, size = [], [], 0, 0
    for item in items:
        line = _line(item)
        if group and (count + len(item.ranges) > limits['max_ranges']
                      or size + len(line) > limits['max_body']):
            yield group, lines
            group, lines, count, size = [], [], 0, 0
        group.append(item)
        lines.append(line)
        count += len(item.ranges)
        size += len(line)
    yield group, lines
