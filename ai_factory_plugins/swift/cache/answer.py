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
"""What a client gets from the cache."""

from ai_factory_plugins.swift.cache import blocks

HEADER = 'X-Block-Cache'
# Bytes after which others have a turn. A client that takes them as fast as
# they come would keep a process from all else, which is why proxy-server does
# so as well (CooperativeIterator, after 320 KiB).
TURN = 256 * 1024


class Body:
    """The bytes of an answer, which are all there.

    :param extent: a :class:`~blocks.Extent`
    :param found: dict of number of a block to its bytes
    :param block: size of a block
    :param closed: called once, with whether all bytes were taken
    :param pause: lets others have a turn
    """

    def __init__(self, extent, found, block, closed, pause):
        self._pieces = [
            (number, found[number]) for number in
            blocks.numbers(extent, block)]
        self._pieces.reverse()
        self._extent = extent
        self._block = block
        self._closed = closed
        self._pause = pause
        self._given = 0

    def __iter__(self):
        return self

    def __next__(self):
        if not self._pieces:
            self.close()
            raise StopIteration
        if self._given >= TURN:
            self._given = 0
            self._pause()
        number, data = self._pieces.pop()
        piece = blocks.cut(number, data, self._extent, self._block)
        self._given += len(piece)
        return piece

    def close(self):
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(not self._pieces)
            self._pieces = []


def head(version, extent, partial):
    """Status and headers, as Swift gives them.

    :param version: a :class:`~versions.Version`
    :param extent: the bytes that are sent
    :param partial: whether the request has a range that counts
    :returns: (status, list of (name, value))
    """
    headers = [*version.headers, ('Content-Length', str(extent.length))]
    if not partial:
        return '200 OK', headers
    headers.append(('Content-Range', 'bytes {}-{}/{}'.format(
        extent.first, extent.last, version.size)))
    return '206 Partial Content', headers


def unchanged(version):
    """What a client gets that has this version already.

    :returns: (status, list of (name, value), body)
    """
    return ('304 Not Modified', [*version.headers, ('Content-Length', '0')],
            [b''])
