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

"""Reads of an object server, in order and with little memory."""

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import ranges
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import disk
from ai_factory_plugins.swift import headers

_SEND = 256 * 1024  # bytes that are sent at once
_ENTRIES = 128      # of a window; others wait for the server meanwhile


class _Pending:
    """An entry that waits for its window to be read."""

    __slots__ = ('read', 'parts', 'opened', 'buffers', 'refusal', 'headers')

    def __init__(self, read, opened=None, parts=(), refusal=None,
                 headers=None):
        self.read = read
        self.opened = opened
        self.parts = parts
        self.refusal = refusal
        self.headers = headers
        self.buffers = [b''] * len(parts)


class Reader:
    """Reads what one request asks for, a window at a time.

    The ranges of a window are put together by object, so that those near
    each other are read at once, and are then sent in the order in which they
    were asked for.

    :param objects: :class:`~ai_factory_plugins.swift.disk.OpenObjects`
    :param conf: dict with ``window``, ``coalesce_gap`` and ``max_open``
    :param failed: called with a text when an unforeseen exception is handled
    """

    def __init__(self, objects, conf, failed):
        self._objects = objects
        self._window = conf['window']
        self._gap = conf['coalesce_gap']
        self._failed = failed
        self._headers = None
        self._waiting = []
        self._size = 0
        self.entries = 0
        self.bytes = 0

    def tell_headers(self, controller, targets, known):
        """Tell the headers of the objects as well.

        :param controller: Swift's ObjectController
        :param targets: list of what is read
        :param known: :class:`~ai_factory_plugins.swift.known.KnownObjects`
        """
        self._headers = headers.Headers(controller, targets, known)

    def frames(self, reads):
        """The answer.

        :param reads: list of :class:`~ai_factory_plugins.swift.backend.Read`
        :returns: iterator of bytes
        """
        return _gather(self._all(reads))

    def _all(self, reads):
        """All frames, the last one included, as lists of bytes."""
        for read in reads:
            if self._objects.full(read.target):
                yield from self._flush()
            pending = self._prepare(read)
            size = ranges.total(pending.parts)
            if (self._size + size > self._window
                    or len(self._waiting) >= _ENTRIES):
                yield from self._flush()
            if size > self._window or self._is_whole(pending):
                yield from self._flush()
                yield from self._long(pending)
            else:
                self._waiting.append(pending)
                self._size += size
        yield from self._flush()
        yield frames.encode(
            frames.END, 200, self.entries,
            {'entries': self.entries, 'bytes': self.bytes})

    def _prepare(self, read):
        """Open the object, and see what there is to read."""
        try:
            opened = self._objects.get(read.target)
            found = self._headers and self._headers.of(read.target, opened)
        except disk.Refused as exc:
            return _Pending(read, refusal=exc)
        except Exception as exc:
            self._failed('an object could not be opened')
            return _Pending(read, refusal=disk.Refused(500, str(exc)))
        if opened.manifest:
            return _Pending(read, opened, headers=found, refusal=disk.Refused(
                backend.UNSUITABLE, 'segmented'))
        if read.etag not in (None, '*', opened.etag):
            return _Pending(read, opened, refusal=disk.Refused(
                412, 'another etag'))
        parts = ranges.resolve(read.ranges, opened.size)
        if parts is None:
            return _Pending(read, opened, refusal=disk.Refused(
                416, 'beyond the end'))
        return _Pending(read, opened, parts, headers=found)

    @staticmethod
    def _is_whole(pending):
        return (pending.opened is not None and pending.opened.size > 0
                and pending.parts == [(0, pending.opened.size)])

    def _flush(self):
        """Read what waits; its frames."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        wanted = {}
        for pending in waiting:
            if pending.refusal is None:
                wanted.setdefault(pending.opened, []).extend(
                    (pending, number) for number in range(len(pending.parts)))
        for opened, places in wanted.items():
            self._fill(opened, places)
        for pending in waiting:
            yield from self._short(pending)

    def _fill(self, opened, places):
        """Read parts of one object into the buffers of their entries."""
        parts = [pending.parts[number] for pending, number in places]
        for (start, length), members in ranges.coalesce(
                parts, self._gap, self._window):
            try:
                data = memoryview(opened.read(start, length))
            except disk.Refused as exc:
                for member in members:
                    places[member][0].refusal = exc
                continue
            for member in members:
                pending, number = places[member]
                first, count = parts[member]
                pending.buffers[number] = data[
                    first - start:first - start + count]

    def _short(self, pending):
        """The frames of an entry that has been read."""
        self.entries += 1
        self._objects.done(pending.read.target)
        if pending.refusal is not None:
            yield _refusal(pending)
            return
        data = (pending.buffers[0] if len(pending.buffers) == 1
                else b''.join(pending.buffers))
        self.bytes += len(data)
        yield from frames.pieces(
            frames.ENTRY, _status(pending), pending.read.entry,
            _meta(pending), data)

    def _long(self, pending):
        """The frames of an entry that is read piece by piece."""
        self.entries += 1
        opened, entry = pending.opened, pending.read.entry
        checksum = opened.checksum() if self._is_whole(pending) else None
        kind, meta = frames.ENTRY, _meta(pending)
        try:
            for start, length in pending.parts:
                for at in range(start, start + length, frames.MAX_DATA):
                    data = opened.read(
                        at, min(frames.MAX_DATA, start + length - at))
                    if checksum is not None:
                        checksum.update(data)
                        if at + len(data) == opened.size:
                            opened.check(checksum)
                    self.bytes += len(data)
                    yield from frames.pieces(
                        kind, _status(pending), entry, meta, data)
                    kind, meta = frames.DATA, None
        except disk.Refused as exc:
            if kind == frames.ENTRY:
                pending.refusal = exc
                yield _refusal(pending)
            else:
                yield frames.encode(frames.ABORT, exc.status, entry)
        finally:
            self._objects.done(pending.read.target)


def _status(pending):
    return 206 if pending.read.ranges else 200


def _meta(pending):
    meta = {'etag': pending.opened.etag, 'size': pending.opened.size,
            'parts': pending.parts}
    if pending.headers is not None:
        meta['headers'] = pending.headers
    return meta


def _refusal(pending):
    meta = {'reason': str(pending.refusal)}
    if pending.opened is not None:
        meta.update(etag=pending.opened.etag, size=pending.opened.size)
        if pending.opened.manifest:
            meta['manifest'] = True
            meta['headers'] = pending.headers or {}
    return frames.encode(
        frames.ENTRY, pending.refusal.status, pending.read.entry, meta)


def _gather(found):
    """Frames, put together for fewer and larger sends."""
    held, size = [], 0
    for frame in found:
        held += frame
        size += sum(map(len, frame))
        if size >= _SEND:
            yield b''.join(held)
            held, size = [], 0
    if held:
        yield b''.join(held)
