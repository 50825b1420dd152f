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

"""The answer to a batch: streams of object servers, put into order."""

import time

from swift.common.exceptions import ChunkWriteTimeout
from swift.common.utils import CooperativeIterator
from swift.common.utils import WatchdogTimeout

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import ranges
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import formats
from ai_factory_plugins.swift import ordinary
from ai_factory_plugins.swift import stream as streams

_SEND = 256 * 1024  # bytes that are sent at once
_DELAY = 1          # seconds after which fewer are sent


class _Detour(Exception):
    """The entry has to be read the ordinary way."""


class _Moved(Exception):
    """The entry is now asked of another server."""


def _take(held):
    """All bytes, of which nothing is held any more."""
    data = b''.join(held)
    held.clear()
    return data


class Answer:
    """Iterable of bytes: the answers to all entries, in their order.

    Holds a piece of what each object server sends, see :mod:`sources`, and
    what is sent at once; all else waits in the sockets until the client has
    read.

    :param entries: list of entries
    :param denied: dict of number of an entry to the status it gets
    :param sources: a :class:`~ai_factory_plugins.swift.sources.Sources`
    :param reads: an :class:`~ai_factory_plugins.swift.ordinary.OrdinaryReads`
    :param conf: dict of the middleware's options
    :param writer: what writes the answer, see
        :mod:`ai_factory_plugins.swift.formats`
    """

    def __init__(self, entries, denied, sources, reads, conf, writer):
        self._entries = entries
        self._denied = denied
        self._sources = sources
        self._reads = reads
        self._writer = writer
        self._budget = conf['max_bytes']
        self._spent = False
        self.counts = {'entries': 0, 'bytes': 0, 'failed': 0,
                       'ordinary': 0}

    def __iter__(self):
        app = self._sources.cluster.app
        try:
            for chunk in CooperativeIterator(self._chunks(), period=2):
                with WatchdogTimeout(
                        app.watchdog, app.client_timeout, ChunkWriteTimeout):
                    yield chunk
        except ChunkWriteTimeout:
            self._sources.cluster.logger.info(
                'Client did not read a batch within %ss', app.client_timeout)
            raise formats.Cut('the client does not read')
        except formats.Cut as exc:
            self._sources.cluster.logger.error('An answer is cut: %s', exc)
            raise
        finally:
            self.close()

    def close(self):
        """Give up all connections; to do so twice does no harm."""
        self._sources.close()
        self._reads.close()
        self.counts['requests'] = self._sources.requests
        self.counts['failovers'] = self._sources.failovers

    def _chunks(self):
        """The answer, in pieces that are worth sending."""
        self._denied.update(self._sources.start([
            entry for entry in self._entries
            if entry.error is None and entry.index not in self._denied]))
        held, size, sent_at = [], 0, time.monotonic()
        for entry in self._entries:
            for pieces in self._entry(entry):
                held += pieces
                size += sum(map(len, pieces))
                if size >= _SEND or time.monotonic() - sent_at > _DELAY:
                    size = 0
                    yield _take(held)
                    sent_at = time.monotonic()
            self._sources.forget(entry.index)
            self.counts['entries'] += 1
        held += self._writer.ended(len(self._entries), self.counts['bytes'])
        yield b''.join(held)

    # One entry

    def _entry(self, entry):
        """The answer to an entry, as lists of bytes."""
        if entry.error is not None:
            yield self._failed(entry, entry.error.status, str(entry.error))
        elif entry.index in self._denied:
            status = self._denied[entry.index]
            yield self._failed(
                entry, status, 'the container is not available'
                if status == 503 else 'access is denied')
        elif self._spent:
            yield self._failed(entry, 413, 'the batch has too many bytes')
        else:
            while True:
                progress = self._sources[entry.index]
                try:
                    if progress.segments:
                        yield from self._from_segments(progress)
                    elif progress.stream is not None:
                        yield from self._from_server(progress)
                    else:
                        yield from self._ordinary(progress)
                    return
                except streams.StreamFailed as exc:
                    self._sources.fail_over(progress.stream, exc)
                except _Moved:
                    pass
                except _Detour:
                    self._sources.leave(progress)

    def _failed(self, entry, status, reason, **meta):
        """The answer to an entry of which nothing is read."""
        self.counts['failed'] += 1
        meta['reason'] = reason
        if entry.id is not None:
            meta['id'] = entry.id
        return self._writer.refused(entry, status, meta)

    def _aborted(self, progress, status, reason):
        """The end of an entry of which no more can be read."""
        self.counts['failed'] += 1
        return self._writer.aborted(progress.entry, status, reason)

    def _admit(self, progress, etag, parts):
        """Note what an entry has, before the first byte of it is sent.

        :returns: None, or its refusal
        """
        length = ranges.total(parts)
        if length > self._budget:
            self._spent = True
            return self._failed(
                progress.entry, 413, 'the batch has too many bytes')
        self._budget -= length
        progress.parts = parts
        progress.object.etag = progress.object.etag or etag
        return None

    # From an object server

    def _from_segments(self, progress):
        """The answer to an entry, segment by segment."""
        known = progress.object
        if known.etag not in (None, known.manifest.etag):
            raise _Detour  # An earlier entry has had another version.
        while progress.segments:
            segment = progress.segments[0]
            try:
                yield from self._segment(segment)
            finally:
                progress.sent += segment.sent
            if progress.parts is None or segment.left():
                # It was too much, or is damaged.
                self._sources.leave(progress)
                return
            progress.segments.popleft()

    def _segment(self, segment):
        """What a segment has of an entry, from whichever server has it."""
        while True:
            if segment.stream is None:
                raise _Detour
            try:
                yield from self._from_server(segment)
                return
            except streams.StreamFailed as exc:
                self._sources.fail_over(segment.stream, exc)
            except _Moved:
                pass

    def _begin_segmented(self, progress):
        """What there is of an entry that is read by segments.

        :returns: what is to be told, refusal; one of them is None
        """
        known, entry = progress.object, progress.entry
        size, etag = known.manifest.size, known.manifest.etag
        parts = ranges.resolve(entry.ranges, size)
        refusal = self._admit(progress, etag, parts)
        meta = {'etag': etag, 'size': size, 'parts': parts}
        if self._writer.with_headers:
            meta['headers'] = known.headers or {}
        if entry.id is not None:
            meta['id'] = entry.id
        return meta, refusal

    def _from_server(self, progress):
        stream = progress.stream
        frame = stream.frame_of(progress.number)
        if frame.kind != frames.ENTRY:
            raise streams.StreamFailed('the answer is out of step')
        try:
            meta = frame.meta
            if frame.status not in (200, 206):
                yield self._refusal(progress, frame.status, meta)
                return
            etag, parts = meta['etag'], meta['parts']
            length = ranges.total(parts)
        except (frames.FrameError, KeyError, TypeError, ValueError) as exc:
            raise streams.StreamFailed(f'malformed: {exc!r}')
        if len(frame.data) > length:
            raise streams.StreamFailed('more than was announced')
        known = progress.object
        if known.etag not in (None, etag):
            raise _Detour
        if progress.parts is None:
            refusal = self._admit(progress, etag, parts)
            if refusal is not None:
                yield refusal
                return
            text = frame.text
            if progress.entry.id is not None:
                meta, text = dict(meta, id=progress.entry.id), None
        elif length == ranges.total(progress.parts) - progress.sent:
            meta = text = None
        else:
            raise _Detour
        if progress.whole is not None and progress.whole.parts is None:
            meta, refusal = self._begin_segmented(progress.whole)
            if refusal is not None:
                yield refusal
                return
        yield from self._relay(progress, frame, length, meta, text)

    def _relay(self, progress, frame, length, meta, text):
        """Pass on what an object server sends of an entry.

        :param frame: the first one
        :param length: how many bytes there will be
        :param meta: what is to be told of the entry, or None if it has been
        :param text: its JSON text, if that is what has come
        """
        stream, entry = progress.stream, progress.entry
        status = 206 if entry.ranges else 200
        while True:
            length -= len(frame.data)
            if length < 0:
                raise streams.StreamFailed('more than was announced')
            progress.sent += len(frame.data)
            self.counts['bytes'] += len(frame.data)
            if meta is None:
                yield self._writer.more(entry, status, frame.data)
            else:
                yield self._writer.begun(
                    entry, status, meta, frame.data, text)
                meta = None
            if not length:
                self._sources.done(progress)
                return
            frame = stream.frame_of(progress.number)
            if frame.kind == frames.ABORT:
                if frame.status != backend.VOID:
                    raise _Detour
                yield self._aborted(progress, 503, 'the object is damaged')
                self._sources.done(progress)
                return
            if frame.kind != frames.DATA or not len(frame.data):
                raise streams.StreamFailed('the answer is out of step')

    def _refusal(self, progress, status, meta):
        """What becomes of an entry that an object server has refused.

        :returns: the answer to it
        """
        if status == 416 and progress.parts is None:
            self._sources.done(progress)
            return self._failed(
                progress.entry, 416, 'beyond the end',
                **{name: meta[name] for name in ('etag', 'size')
                   if name in meta})
        if status == backend.UNSUITABLE:
            if meta.get('manifest') and self._sources.is_segmented(progress):
                raise _Moved
            self._sources.not_raw(progress)
        elif status == 507:
            server = progress.stream.server
            node = progress.object.nodes.get(server)
            if node is not None:
                self._sources.cluster.app.error_limit(
                    node, 'ERROR Insufficient Storage')
                self._sources.move_from(progress.stream, node)
                raise _Moved
        raise _Detour

    # The ordinary way

    def _ordinary(self, progress, again=False):
        entry, known = progress.entry, progress.object
        self.counts['ordinary'] += 1
        left = progress.left()
        if known.missing:
            yield self._gone(progress, 404, 'Not Found')
            return
        try:
            found = self._reads.open(
                entry, left, known.etag if left is not None else None)
        except ordinary.ReadFailed as exc:
            if exc.status == 404 and left is None:
                known.missing = True
            if exc.status == 412 and left is not None:
                exc.status = 409
            yield self._gone(progress, exc.status, str(exc), exc.size)
            return
        try:
            yield from self._pass_on(progress, found)
        except ordinary.ReadFailed as exc:
            if known.etag and not again:
                # It may have waited too long since it was begun.
                found.close()
                yield from self._ordinary(progress, again=True)
            else:
                yield self._aborted(progress, exc.status, str(exc))
        finally:
            found.close()

    def _gone(self, progress, status, reason, size=None):
        """The answer to an entry that Swift does not give."""
        if progress.parts is not None:
            return self._aborted(progress, status, reason)
        meta = {} if size is None else {'size': size}
        return self._failed(progress.entry, status, reason, **meta)

    def _pass_on(self, progress, found):
        entry, known = progress.entry, progress.object
        status = 206 if entry.ranges else 200
        if known.etag not in (None, found.etag):
            yield self._gone(progress, 409, 'the object has changed')
            return
        if progress.parts is None:
            refusal = self._admit(progress, found.etag, found.parts)
            if refusal is not None:
                yield refusal
                return
            meta = {'etag': found.etag, 'size': found.size,
                    'parts': found.parts}
            if entry.id is not None:
                meta['id'] = entry.id
            if self._writer.with_headers:
                meta['headers'] = found.headers
            yield self._writer.begun(entry, status, meta)
        for data in found:
            progress.sent += len(data)
            self.counts['bytes'] += len(data)
            yield self._writer.more(entry, status, data)
