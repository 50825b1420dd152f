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

"""Byte ranges of an object.

A *range* is what was asked for: a tuple (first, last) of positions, both
inclusive, in bytes, as in HTTP's Range header. (first, None) goes to the end,
(None, n) is the last n bytes. A *part* is what is there: a tuple (start,
length).
"""


def resolve(ranges, size):
    """The parts of an object of some size that ranges stand for.

    As Swift has it for one range, RFC 9110, section 14.1.2. Unlike there, one
    range that cannot be satisfied spoils all.

    :param ranges: sequence of ranges; empty for the whole object
    :param size: size of the object in bytes
    :returns: list of parts, one for each range, or None if one of them starts
        beyond the end
    """
    if not ranges:
        return [(0, size)]
    parts = []
    for first, last in ranges:
        if first is None:
            if last == 0:
                return None
            start, end = max(size - last, 0), size
        else:
            start, end = first, size if last is None else min(last + 1, size)
            if start >= size:
                return None
        parts.append((start, end - start))
    return parts


def header(wanted):
    """The value of HTTP's Range header that asks for a range."""
    first, last = ('' if position is None else position for position in wanted)
    return f'bytes={first}-{last}'


def total(parts):
    """How many bytes parts have."""
    return sum(length for _, length in parts)


def after(parts, count):
    """What is left of parts when so many bytes have been read.

    :returns: list of ranges
    """
    left = []
    for start, length in parts:
        taken = min(count, length)
        count -= taken
        if length > taken:
            left.append((start + taken, start + length - 1))
    return left


def coalesce(parts, gap, limit):
    """Parts that are near each other, as fewer reads.

    :param parts: list of parts of one object, in any order; they may overlap
    :param gap: how many bytes between two parts may be read in vain
    :param limit: how many bytes a read may have, unless a part alone has more
    :returns: list of ((start, length), [numbers of the parts in it])
    """
    reads = []
    for number in sorted(range(len(parts)), key=lambda n: parts[n]):
        start, length = parts[number]
        end = start + length
        if reads:
            last = reads[-1]
            joined = max(last[1], end)
            if start <= last[1] + gap and joined - last[0] <= limit:
                last[1] = joined
                last[2].append(number)
                continue
        reads.append([start, end, [number]])
    return [((start, end - start), numbers) for start, end, numbers in reads]
