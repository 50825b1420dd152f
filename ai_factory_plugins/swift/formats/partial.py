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

"""The answer to a GET of several ranges of one object, as Swift has it."""

from swift.common import swob

from ai_factory_plugins.dataset import ranges
from ai_factory_plugins.swift import formats
from ai_factory_plugins.swift.formats import multipart

# What proxy-server does not pass on.
_NOT_PASSED = frozenset((
    'date', 'content-length', 'connection', 'x-put-timestamp',
    'x-delete-after'))


class NotHere(Exception):
    """It is for Swift to answer."""


class ByteRanges:
    """Writes the answer as swob does, see RFC 9110, section 14.6.

    :param env: WSGI environment of the request
    """

    with_headers = True

    def __init__(self, env):
        self._env = env
        self._boundary = None
        self._parts = None
        self.status = None   # as start_response takes it, once it is known
        self.headers = None

    def refused(self, entry, status, meta):
        raise NotHere(meta['reason'])

    def begun(self, entry, status, meta, data=b'', text=None):
        if not meta.get('headers'):
            raise NotHere('an object server that is older')
        parts, size = meta['parts'], meta['size']
        kind = self._head(meta['headers'], parts, size).encode('ascii')

        def opening(number):
            start, length = parts[number]
            return b''.join([
                b'--', self._boundary, b'\r\nContent-Type: ', kind, b'\r\n',
                swob.content_range_header(start, start + length, size),
                b'\r\n\r\n'])
        self._parts = multipart.Parts(parts, opening)
        return self._parts.take(data)

    def _head(self, headers, parts, size):
        """Decide what the answer is.

        :returns: the Content-Type of the parts
        :raises NotHere: it is not one of several parts
        """
        kind = headers.get('Content-Type', '')
        if not multipart.is_value(kind) or 'swift_bytes' in kind:
            raise NotHere('a Content-Type that Swift would change')
        asked = _Asked()
        request = _Request(self._env)
        response = swob.Response(
            request=request, headers=_passed(headers), app_iter=asked,
            conditional_response=True)
        response.content_length = size
        response(self._env, self._note)
        if asked.ranges != [(start, start + length)
                            for start, length in parts]:
            raise NotHere(self.status)
        self._boundary = response.boundary
        return kind

    def _note(self, status, headers, exc_info=None):
        self.status, self.headers = status, headers

    def more(self, entry, status, data):
        return self._parts.take(data)

    def aborted(self, entry, status, reason):
        raise formats.Cut(f'GET: {status} {reason}')

    def ended(self, found, size):
        return [b'--' + self._boundary + b'--']


def _passed(headers):
    """The headers that proxy-server gives a client of those it gets."""
    found = {name: value for name, value in headers.items()
             if name.lower() not in _NOT_PASSED}
    found['Accept-Ranges'] = 'bytes'
    return {name: value.replace('"', '') if name.lower() == 'etag' else value
            for name, value in found.items()}


class _Asked:
    """An object of which swob says what is to be read."""

    ranges = None

    def app_iter_ranges(self, found, content_type, boundary, size):
        self.ranges = found
        return []


class _Request(swob.Request):
    """A request that may have more ranges than Swift allows."""

    @property
    def range(self):
        return _Range(self.headers['Range'])


class _Range(swob.Range):

    def ranges_for_length(self, length):
        """Swift's rules; of more than it allows, none may overlap another."""
        if len(self.ranges) <= swob.MAX_RANGES:
            return super().ranges_for_length(length)
        found = [(start, start + count) for start, count in ranges.resolve(
            self.ranges, length) or ()]
        if any(second[0] < first[1]
               for first, second in zip(found, found[1:])):
            return []
        return found
