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

"""Where the entries of a batch are read: object servers, or GETs."""

import collections
import itertools

import eventlet

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import plan
from ai_factory_plugins.dataset import ranges
from ai_factory_plugins.swift import cluster
from ai_factory_plugins.swift import stream as streams

_FAILURES = 6  # of streams, before an object is read the ordinary way
_WAVE = 512    # entries that are asked for at once, and segments of one
# Bytes that may be here before it is their turn, in all streams of a batch,
# and how many a stream gets at least.
_AHEAD, _LEAST = 1024 * 1024, 16 * 1024


class Object:
    """One object of the batch.

    :param target: where it is on any device, for the object server
    :param nodes: dict of server to device of the ring
    """

    __slots__ = ('target', 'nodes', 'failures', 'etag', 'missing', 'looked',
                 'manifest', 'headers')

    def __init__(self, target=None, nodes=None):
        self.target = target
        self.nodes = nodes or {}
        self.failures = 0
        self.etag = None      # of the one version that is read
        self.missing = False  # Swift has said so
        self.looked = False   # whether it is segmented has been asked
        self.manifest = None  # if it is, see :mod:`manifests`
        self.headers = None   # of a segmented object, if they are wanted


class Progress:
    """How far an entry has come, or what a segment has of it.

    :param entry: the entry
    :param known: :class:`Object`
    :param whole: of a segment, the progress of the entry
    """

    __slots__ = ('entry', 'object', 'whole', 'stream', 'number', 'parts',
                 'sent', 'segments')

    def __init__(self, entry, known, whole=None):
        self.entry = entry
        self.object = known
        self.whole = whole
        self.stream = None
        self.number = None  # of its frames in the stream
        self.parts = None   # once they have been announced
        self.sent = 0
        self.segments = ()  # progress of those that have not been read

    def left(self):
        """The ranges that have not been sent, or None for all."""
        if self.parts is None:
            return None
        return ranges.after(self.parts, self.sent)


class Sources:
    """Requests to object servers for one batch.

    :param access: an :class:`~ai_factory_plugins.swift.access.Access`
    :param nodes: a :class:`~ai_factory_plugins.swift.cluster.Cluster`
    :param reads: an :class:`~ai_factory_plugins.swift.ordinary.OrdinaryReads`,
        which is told what it will have to read
    :param conf: dict of the middleware's options
    :param with_headers: whether object servers are to tell objects' headers
    :param segmented: a
        :class:`~ai_factory_plugins.swift.segmented.SegmentedObjects`, or None
        where large objects are to be read the ordinary way
    """

    def __init__(self, access, nodes, reads, conf, with_headers=False,
                 segmented=None):
        self.cluster = nodes
        self.requests = 0
        self.failovers = 0
        self._access = access
        self._reads = reads
        self._conf = conf
        self._with_headers = with_headers
        self._segmented = segmented
        self._waiting = collections.deque()
        self._next = 0
        self._objects = {}
        self._progress = {}
        self._streams = []

    def close(self):
        """Give up all connections; to do so twice does no harm."""
        for stream in self._streams:
            stream.close()
        self._streams.clear()

    def start(self, entries):
        """Find the containers, and ask the first object servers.

        :param entries: list of those that may be read, in order
        :returns: dict of number of the entry to HTTP status, for those whose
            container cannot be read
        """
        failed = {}
        for entry in entries:
            status = self._access.container(entry.container).status
            if status is None:
                self._waiting.append(entry)
            else:
                failed[entry.index] = status
        return failed

    def __getitem__(self, index):
        """The :class:`Progress` of an entry; asked for in order."""
        while self._waiting and index >= self._next:
            self._ask_more()
        return self._progress[index]

    def forget(self, index):
        """Note that nobody will ask for an entry again."""
        self._progress.pop(index, None)

    def _ask_more(self):
        """Ask for as many entries as is good to ask for at once."""
        self._look_ahead()
        wave = self._wave()
        found, asked = [], []
        while self._waiting:
            entry = self._waiting[0]
            progress = Progress(entry, self._object(entry))
            progress.segments = self._segments(progress)
            reads = progress.segments or [progress]
            if not _fit(wave, reads) and found:
                break
            self._progress[entry.index] = progress
            found.append(progress)
            asked += reads
            self._waiting.popleft()
        # The next are asked when half of these are done.
        self._next = found[len(found) // 2].entry.index + 1
        self._ask(asked)
        eventlet.sleep()  # Others have waited.

    def _wave(self):
        return plan.Wave(self._conf['servers_at_once'], _WAVE)

    def _object(self, entry, etag=None):
        """The :class:`Object` of an entry, or of a segment."""
        key = (entry.container, entry.object, etag)
        if key not in self._objects:
            self._objects[key] = self._find(entry)
            self._objects[key].etag = etag
        return self._objects[key]

    def _find(self, entry):
        container = self._access.container(entry.container)
        if container.status is not None or not container.is_raw:
            return Object()
        target, nodes = self.cluster.find(
            container.policy, entry.container, entry.object)
        return Object(target, nodes)

    # Segmented objects

    def _look_ahead(self):
        """See which objects of the next wave are segmented."""
        if self._segmented is not None:
            likely = {
                known for known in map(self._object, itertools.islice(
                    self._waiting, _WAVE)) if self._segmented.expects(known)}
            if likely:
                self.requests += self._segmented.look(likely)

    def _segments(self, progress):
        """The progress of each segment that an entry needs.

        :returns: deque, or () if it is not read by segments: Swift would
            refuse it, or too much would have to be asked for at once
        """
        found, entry = [], progress.entry
        manifest = progress.object.manifest
        parts = manifest and ranges.resolve(entry.ranges, manifest.size)
        if not parts or entry.etag not in (None, '*', manifest.etag):
            return ()
        for segment, places in manifest.find(parts):
            known = self._object(segment, segment.etag)
            if (not known.nodes or len(found) == _WAVE
                    or self._access.denial(
                        segment.container, segment.object) is not None):
                return ()
            found.append(Progress(entry, known, progress))
            found[-1].parts = places
        return collections.deque(found) if _fit(self._wave(), found) else ()

    def is_segmented(self, progress):
        """Note that a server has said that an object is segmented.

        What may be so as well in its container is looked at, and all of it is
        asked for anew.

        :returns: whether the entry is to be begun again
        """
        if (self._segmented is None or progress.whole is not None
                or progress.parts is not None):
            return False
        first = progress.entry
        later = [other for other in self._progress.values()
                 if other.entry.index >= first.index]
        self.requests += self._segmented.look({progress.object} | {
            other.object for other in later
            if other.entry.container == first.container
            and self._segmented.expects(other.object, otherwise=True)})
        if progress.object.manifest is None:
            return False
        again = sorted(
            (other for other in later
             if other.object.manifest and not other.segments),
            key=lambda other: other.entry.index)
        for other in again:
            self.leave(other)
            self.forget(other.entry.index)
        self._waiting.extendleft(other.entry for other in reversed(again))
        self._next = first.index
        return True

    # Requests

    def _ask(self, found):
        """Ask object servers for entries, or have them read otherwise.

        :param found: iterable of progress, in order
        """
        wanted = {}
        for progress in found:
            known = progress.object
            weight = wanted[known][0] if known in wanted else 0
            wanted[known] = (weight + 1, known.nodes)
        servers = plan.assign(wanted, self._conf['entries_per_request'])
        made, fresh, others = {}, [], []
        for progress in found:
            server = servers.get(progress.object)
            if server is None:
                progress.stream = None
                if progress.whole is None:
                    others.append(progress.entry)
                continue
            if server not in made or made[server].is_full:
                made[server] = streams.BackendStream(
                    self.cluster.app, server, self.cluster.trans_id,
                    self._with_headers)
                fresh.append(made[server])
            progress.stream = made[server]
            self._add(made[server], progress)
        self._reads.expect(others)
        self._send(fresh)

    @staticmethod
    def _add(stream, progress):
        known, entry = progress.object, progress.entry
        left = progress.left()
        etag = None if progress.whole else entry.etag
        node = known.nodes[stream.server]
        progress.number = stream.add(
            progress, (node['device'], *known.target[1:]),
            entry.ranges if left is None else left, etag or known.etag, node)

    def _send(self, made):
        self._streams += made
        self.requests += len(made)
        block = min(frames.BLOCK, max(
            _LEAST, _AHEAD // (len(self._streams) or 1)))
        if len(made) == 1:
            made[0].send(block)
        else:
            pool = eventlet.GreenPool(len(made) or 1)
            for stream in made:
                pool.spawn_n(stream.send, block)
            pool.waitall()

    def done(self, progress):
        """Note that nothing more of its stream is needed."""
        stream, progress.stream = progress.stream, None
        stream.pending.remove(progress)
        if not stream.pending:
            stream.finish()
            self._streams.remove(stream)

    def move_from(self, stream, node):
        """Have all that is on a device read from others."""
        moved = []
        for progress in stream.pending:
            known = progress.object.nodes.get(stream.server)
            if known is not None and (
                    cluster.device(known) == cluster.device(node)):
                moved.append(progress)
        for progress in moved:
            stream.pending.remove(progress)
            progress.stream = None
        for known in {progress.object for progress in moved}:
            known.nodes.pop(stream.server, None)
        self._ask(moved)

    def not_raw(self, progress):
        """Have all of an object read the ordinary way."""
        known = progress.object
        self.cluster.remember(known.target)
        known.nodes = {}
        self._reads.expect([
            other.entry for other in self._progress.values()
            if other.object is known
            and other.entry.index >= progress.entry.index])

    def leave(self, progress):
        """Read nothing more of an entry from object servers."""
        for one in (progress, *progress.segments):
            if one.stream is not None:
                self.done(one)
        progress.segments = ()

    def fail_over(self, stream, exc):
        """Have what a stream has not sent read from other servers."""
        if stream is None or not stream.pending:
            return
        moved = list(stream.pending)
        stream.pending.clear()
        stream.close()
        self.failovers += 1
        self.cluster.failed(stream, exc)
        for known in {progress.object for progress in moved}:
            known.failures += 1
            if exc.blame or known.failures > 1:
                known.nodes.pop(stream.server, None)
            if known.failures > _FAILURES:
                known.nodes = {}
        self._ask(moved)


def _fit(wave, reads):
    """Whether all of these may be asked for in a wave."""
    return all([wave.admits(one.object.nodes) for one in reads])
