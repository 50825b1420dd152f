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
"""Which blocks a request needs, and what of them it gets.

Block ``n`` of an object has its bytes from ``n * size`` on.
"""

import re
import typing

# More digits are no size of an object; Swift may say what it makes of them.
_RANGE = re.compile(r'bytes=(\d{0,18})-(\d{0,18})\Z', re.ASCII)
_CONTENT_RANGE = re.compile(r'bytes (\d{1,18})-(\d{1,18})/(\d{1,18})\Z',
                            re.ASCII)


class Extent(typing.NamedTuple):
    """Bytes of an object, at least one.

    :param first: the first byte, counted from 0
    :param last: the last one
    """

    first: int
    last: int

    @property
    def length(self):
        return self.last + 1 - self.first


def parse(header):
    """The one range that a ``Range`` header has.

    :param header: its value
    :returns: (first, last) as in the header, with None for what is not there,
        or None if it is anything but one plain range
    """
    match = _RANGE.match(header)
    if match is None or match[0] == 'bytes=-':
        return None
    first, last = (int(text) if text else None for text in match.groups())
    if None not in (first, last) and last < first:
        return None
    return first, last


def resolve(wanted, size):
    """What a range is of an object.

    :param wanted: (first, last) as :func:`parse` returns it, or None for the
        whole object
    :param size: of the object in bytes
    :returns: an :class:`Extent`, or None where there is nothing to send
    """
    if not size:
        return None
    if wanted is None:
        return Extent(0, size - 1)
    first, last = wanted
    if first is None:
        return Extent(max(0, size - last), size - 1) if last else None
    if first >= size:
        return None
    return Extent(first, size - 1 if last is None else min(last, size - 1))


def guess(wanted, block, limit):
    """Whole blocks to ask for when an object's size is not known.

    :param wanted: (first, last), or None for the whole object
    :param block: size of a block
    :param limit: the most bytes that a request may have
    :returns: an :class:`Extent` that may go beyond the object's end, or None
        where the size has to be known first. What has no end gets one block,
        since it may be longer than the limit.
    """
    first, last = (0, None) if wanted is None else wanted
    if first is None:
        return None
    if last is None or last - first >= limit:
        last = first
    return Extent(first // block * block, (last // block + 1) * block - 1)


def numbers(extent, block):
    """The numbers of the blocks that an extent touches, as a range."""
    return range(extent.first // block, extent.last // block + 1)


def bounds(number, block, size):
    """The :class:`Extent` of a block of an object of some size."""
    return Extent(number * block, min((number + 1) * block, size) - 1)


def runs(found):
    """Put numbers together that follow each other.

    :param found: numbers in ascending order
    :returns: list of lists
    """
    result = []
    for number in found:
        if result and result[-1][-1] + 1 == number:
            result[-1].append(number)
        else:
            result.append([number])
    return result


def cut(number, data, extent, block):
    """The part of a block that is in an extent.

    :param number: of the block
    :param data: its bytes
    :returns: bytes; those of the block itself if it is all of them
    """
    start = max(extent.first - number * block, 0)
    end = extent.last + 1 - number * block
    if start == 0 and end >= len(data):
        return data
    return data[start:end]


def content_range(value):
    """What a ``Content-Range`` header says.

    :returns: (:class:`Extent`, size of the object), or None if it is not of
        one range whose size is known
    """
    match = _CONTENT_RANGE.match(value or '')
    if match is None:
        return None
    first, last, size = map(int, match.groups())
    if not first <= last < size:
        return None
    return Extent(first, last), size


class Cutter:
    """Makes blocks of a stream of bytes.

    :param run: numbers of the blocks, which follow each other
    :param block: size of a block
    :param size: size of the object, whose last block may be short
    """

    def __init__(self, run, block, size):
        self._pending = [
            (number, bounds(number, block, size).length) for number in run]
        self._pending.reverse()
        self._pieces = []
        self._length = 0

    def feed(self, data):
        """Take bytes.

        :returns: list of (number, bytes), the blocks that are complete
        :raises ValueError: there are more bytes than expected
        """
        self._pieces.append(data)
        self._length += len(data)
        if not self._pending:
            if data:
                raise ValueError('more bytes than expected')
            return []
        if self._length < self._pending[-1][1]:
            return []
        data, done, at = b''.join(self._pieces), [], 0
        while self._pending and len(data) - at >= self._pending[-1][1]:
            number, length = self._pending.pop()
            done.append((number, data[at:at + length]))
            at += length
        self._pieces, self._length = [data[at:]], len(data) - at
        if not self._pending and self._length:
            raise ValueError('more bytes than expected')
        return done

    @property
    def is_complete(self):
        return not self._pending
