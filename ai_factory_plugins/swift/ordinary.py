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

"""Reads through the rest of the proxy's pipeline, as any GET goes.

The way for all that is not stored as clients see it, for object servers
without the filter, and for the last word on what is missing.
"""

import collections
import re

import eventlet
from swift.common.swob import normalize_etag
from swift.common.swob import wsgi_quote
from swift.common.utils import close_if_possible
from swift.common.utils import drain_and_close
from swift.common.wsgi import make_subrequest

from ai_factory_plugins.dataset import ranges as range_math
from ai_factory_plugins.swift import access

_CONTENT_RANGE = re.compile(r'bytes (?:(\d+)-(\d+)|\*)/(\d+)\Z')
LENGTH_UNKNOWN = 501
_AHEAD = 32  # entries; one that is farther away would wait too long


class ReadFailed(Exception):
    """An object cannot be read, or not further.

    :param status: HTTP status
    :param size: size of the object in bytes, if that is known
    """

    def __init__(self, status, reason, size=None):
        super().__init__(reason)
        self.status = status
        self.size = size


class Answer:
    """What there is of an object, with its bytes still to come.

    :param etag: without quotes; empty where Swift tells none
    :param size: of the object, in bytes
    :param parts: list of parts, one for each range
    :param headers: dict of the object's headers
    """

    def __init__(self, reads, entry, wanted, response):
        self._reads = reads
        self._entry = entry
        self._response = response
        self.etag = normalize_etag(response.headers.get('etag') or '')
        self.headers = response.headers
        start, length, self.size = _extent(response)
        self.parts = range_math.resolve(wanted, self.size)
        if self.parts is None:
            raise ReadFailed(416, 'beyond the end', self.size)
        # An answer to a range is of the first one, or of the whole object.
        self._start, self._length = start, length
        first, count = self.parts[0]
        if not start <= first <= first + count <= start + length:
            raise ReadFailed(502, 'other bytes than those asked for')

    def __iter__(self):
        """The bytes of all parts, in pieces.

        :raises ReadFailed: they end too early, or the object has changed
        """
        for number, (first, count) in enumerate(self.parts):
            if not count:
                continue
            if number:
                self.close()
                self._response = self._reads.get(
                    self._entry, (first, first + count - 1), self.etag)
                self._start, self._length, size = _extent(self._response)
                if size != self.size or not (
                        self._start <= first
                        and first + count <= self._start + self._length):
                    raise ReadFailed(409, 'the object has changed')
            yield from self._cut(first - self._start, count)

    def _cut(self, skip, count):
        """Some of the bytes of the response at hand."""
        for data in self._received():
            if skip >= len(data):
                skip -= len(data)
                continue
            data = data[skip:skip + count]
            skip = 0
            count -= len(data)
            if data:
                yield data
            if not count:
                return
        raise ReadFailed(503, 'the answer is cut short')

    def _received(self):
        try:
            yield from self._response.app_iter
        except (Exception, eventlet.Timeout) as exc:
            raise ReadFailed(503, f'reading failed: {exc!r}')

    def close(self):
        response, self._response = self._response, None
        if response is not None:
            close_if_possible(response.app_iter)


class OrdinaryReads:
    """Ordinary reads for one batch, some of them begun ahead.

    Instances with ``takes_over`` read whatever is not to be had otherwise.

    :param env: the WSGI environment of the batch
    :param app: the application right of this middleware
    :param paths: an :class:`~ai_factory_plugins.swift.access.Access`
    :param concurrency: how many may be open at once
    """

    takes_over = True

    def __init__(self, env, app, paths, concurrency):
        self._env = env
        self._app = app
        self._paths = paths
        self._concurrency = concurrency
        self._expected = collections.deque()
        self._begun = {}

    def expect(self, entries):
        """Tell that entries will be opened, so that they can be begun.

        :param entries: list of entries
        """
        known = {entry.index for entry in self._expected}
        known.update(self._begun)
        self._expected = collections.deque(sorted(
            [*self._expected, *(entry for entry in entries
                                if entry.index not in known)],
            key=lambda entry: entry.index))

    def open(self, entry, wanted=None, etag=None):
        """Read an entry, or what is left of it.

        :param entry: an :class:`~ai_factory_plugins.dataset.entries.Entry`
        :param wanted: ranges to read instead of those of the entry
        :param etag: what the object has to have, instead of the entry's
        :returns: an :class:`Answer`
        :raises ReadFailed: there is none; the status is that of Swift
        """
        self._begin_ahead(entry.index)
        begun = self._begun.pop(entry.index, None)
        if wanted is None:
            wanted = entry.ranges
            if begun is not None:
                return begun.wait()
        elif begun is not None:
            _drop(begun)
        return self._first(entry, wanted, etag or entry.etag)

    def _begin_ahead(self, index):
        """Begin what comes after an entry."""
        while self._expected and self._expected[0].index <= index:
            self._expected.popleft()
        while self._expected and len(self._begun) + 1 < self._concurrency and (
                self._expected[0].index <= index + _AHEAD):
            entry = self._expected.popleft()
            self._begun[entry.index] = eventlet.spawn(
                self._first, entry, entry.ranges, entry.etag)

    def _first(self, entry, wanted, etag):
        try:
            response = self.get(entry, wanted[0] if wanted else None, etag)
        except ReadFailed as exc:
            # Swift does not give the last bytes of nothing.
            if exc.status != 416 or exc.size != 0 or (
                    range_math.resolve(wanted, 0) is None):
                raise
            response = self.get(entry, None, etag)
        try:
            return Answer(self, entry, wanted, response)
        except ReadFailed:
            close_if_possible(response.app_iter)
            raise

    def get(self, entry, wanted, etag, query=''):
        """One GET.

        :param entry: what has the names of ``container`` and ``object``
        :param wanted: a range, or None for the whole object
        :param etag: what the object has to have, or None
        :param query: of the URL
        :returns: a response with status 200 or 206
        :raises ReadFailed: any other status
        """
        headers = {}
        if wanted is not None:
            headers['Range'] = range_math.header(wanted)
        if etag:
            headers['If-Match'] = etag if etag == '*' else f'"{etag}"'
        req = make_subrequest(
            self._env, method='GET', headers=headers, agent='%(orig)s',
            # The question mark keeps the batch's own query out of it.
            path=wsgi_quote(
                self._paths.path(entry.container, entry.object)) + '?' + query,
            swift_source=access.SOURCE)
        response = req.get_response(self._app)
        if response.status_int in (200, 206):
            return response
        drain_and_close(response)
        match = _CONTENT_RANGE.match(response.headers.get('content-range', ''))
        raise ReadFailed(
            response.status_int, response.status.partition(' ')[2],
            int(match[3]) if match else None)

    def close(self):
        """Give up all that was begun."""
        self._expected.clear()
        while self._begun:
            _drop(self._begun.popitem()[1])


def _drop(thread):
    """Give up a read that was begun."""
    thread.link(_close_result)
    thread.kill()


def _close_result(thread):
    try:
        thread.wait().close()
    except BaseException:
        pass  # It was killed, or has failed.


def _extent(response):
    """Where in the object the bytes of a response are.

    :returns: start, length, size of the object
    :raises ReadFailed: the response does not tell
    """
    if response.status_int == 206:
        match = _CONTENT_RANGE.match(response.headers.get('content-range', ''))
        if match and match[1]:
            first, last, size = map(int, match.groups())
            return first, last + 1 - first, size
    elif response.content_length is not None:
        return 0, response.content_length, response.content_length
    raise ReadFailed(LENGTH_UNKNOWN, 'the length is not known')
