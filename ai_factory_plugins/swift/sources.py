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

import eventlet

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import plan
from ai_factory_plugins.dataset import ranges
from ai_factory_plugins.swift import cluster
from ai_factory_plugins.swift import stream as streams

_FAILURES = 6  # of streams, before an object is read the ordinary way
_WAVE = 512    # entries that are asked for at once
# Bytes that may be here before it is their turn, in all streams of a batch,
# and how many a stream gets at least.
_AHEAD, _LEAST = 1024 * 1024, 16 * 1024


class Object:
    """One object of the batch.

    :param target: where it is on any device, for the object server
    :param nodes: dict of server to device of the ring
    """

    def __init__(self, target=None, nodes=None):
        self.target = target
        self.nodes = nodes or {}
        self.failures = 0
        self.etag = None      # of the one version that is read
        self.missing = False  # Swift has said so


class Progress:
    """How far an entry has come."""

    __slots__ = ('entry', 'object', 'stream', 'parts', 'sent')

    def __init__(self, entry, known):
        self.entry = entry
        self.object = known
        self.stream = None
        self.parts = None  # once they have been announced
        self.sent = 0

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
    """

    def __init__(self, access, nodes, reads, conf, with_headers=False):
        self.cluster = nodes
        self.requests = 0
        self.failovers = 0
        self._access = access
        self._reads = reads
        self._conf = conf
        self._with_headers = with_headers
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
        wave = plan.Wave(self._conf['servers_at_once'], _WAVE)
        found = []
        while self._waiting:
            entry = self._waiting[0]
            key = (entry.container, entry.object)
            if key not in self._objects:
                self._objects[key] = self._find(entry)
            if not wave.admits(self._objects[key].nodes):
                break
            progress = Progress(entry, self._objects[key])
            self._progress[entry.index] = progress
            found.append(progress)
            self._waiting.popleft()
        # The next are asked when half of these are done.
        self._next = found[len(found) // 2].entry.index + 1
        self._ask(found)
        eventlet.sleep()  # Others have waited.

    def _find(self, entry):
        container = self._access.container(entry.container)
        if not container.is_raw:
            return Object()
        target, nodes = self.cluster.find(
            container.policy, entry.container, entry.object)
        return Object(target, nodes)

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
        node = known.nodes[stream.server]
        stream.add(
            entry.index, (node['device'], *known.target[1:]),
            entry.ranges if left is None else left,
            entry.etag or known.etag, node)

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
        """Note that an entry needs nothing more of its stream."""
        stream, progress.stream = progress.stream, None
        stream.pending.remove(progress.entry.index)
        if not stream.pending:
            stream.finish()
            self._streams.remove(stream)

    def move_from(self, stream, node):
        """Have all that is on a device read from others."""
        moved = []
        for index in list(stream.pending):
            progress = self._progress[index]
            known = progress.object.nodes.get(stream.server)
            if known is not None and (
                    cluster.device(known) == cluster.device(node)):
                moved.append(progress)
        for progress in moved:
            stream.pending.remove(progress.entry.index)
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
        """Read an entry the ordinary way from here on."""
        if progress.stream is not None:
            self.done(progress)

    def fail_over(self, stream, exc):
        """Have what a stream has not sent read from other servers."""
        if stream is None or not stream.pending:
            return
        moved = [self._progress[index] for index in stream.pending]
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
