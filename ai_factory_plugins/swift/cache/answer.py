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


class Body:
    """The bytes of an answer, which are all there.

    :param extent: a :class:`~blocks.Extent`
    :param found: dict of number of a block to its bytes
    :param block: size of a block
    :param closed: called once, with whether all bytes were taken
    """

    def __init__(self, extent, found, block, closed):
        self._pieces = [
            (number, found[number]) for number in
            blocks.numbers(extent, block)]
        self._pieces.reverse()
        self._extent = extent
        self._block = block
        self._closed = closed

    def __iter__(self):
        return self

    def __next__(self):
        if not self._pieces:
            self.close()
            raise StopIteration
        number, data = self._pieces.pop()
        return blocks.cut(number, data, self._extent, self._block)

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
