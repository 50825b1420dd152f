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

"""Manifests of static large objects: which bytes are in which segment.

What Swift stores is a JSON list with an object for each segment: ``name`` is
``/CONTAINER/OBJECT``, ``hash`` its etag, ``bytes`` its size; ``range`` is
``FIRST-LAST`` where not all of it belongs to the large object.
"""

import bisect
import itertools
import json
import re
import typing

_RANGE = re.compile(r'(\d+)-(\d+)\Z', re.ASCII)
_LAST = 256  # objects of a container, from which on older ones count less


class ManifestError(ValueError):
    """It is not one whose segments can be read by themselves."""


class Segment(typing.NamedTuple):
    """An object that has bytes of the large one.

    :param etag: what it has to have
    :param first: position of its first byte that belongs to the large object
    """

    container: str
    object: str
    etag: str
    first: int


class Manifest:
    """A large object.

    :param etag: of the large object, without quotes
    :param segments: list of :class:`Segment`, not empty
    :param lengths: list of their bytes
    """

    def __init__(self, etag, segments, lengths):
        self.etag = etag
        self.segments = segments
        self._ends = list(itertools.accumulate(lengths))

    @property
    def size(self):
        """Size of the large object in bytes."""
        return self._ends[-1]

    def find(self, parts):
        """Where the bytes of some parts are.

        :param parts: list of parts of the large object, see
            :mod:`ai_factory_plugins.dataset.ranges`
        :returns: iterator of (:class:`Segment`, list of parts of it), in the
            order of the bytes
        """
        for segment, pieces in itertools.groupby(
                self._pieces(parts), key=lambda piece: piece[0]):
            yield segment, [part for _, part in pieces]

    def _pieces(self, parts):
        for start, length in parts:
            number = bisect.bisect_right(self._ends, start)
            while length:
                begin = self._ends[number - 1] if number else 0
                count = min(length, self._ends[number] - start)
                segment = self.segments[number]
                yield segment, (segment.first + start - begin, count)
                start += count
                length -= count
                number += 1


def parse(body, etag, size):
    """A manifest, as Swift has stored it.

    :param body: bytes
    :param etag: of the large object, without quotes
    :param size: of the large object in bytes
    :returns: :class:`Manifest`
    :raises ManifestError: it is malformed, has other manifests or data in it,
        or segments that have not so many bytes together
    """
    try:
        items = json.loads(body)
        if not isinstance(items, list) or not items:
            raise ManifestError('no list of segments')
        found = [_segment(item) for item in items]
    except (KeyError, TypeError, ValueError, AttributeError,
            RecursionError) as exc:
        raise ManifestError(str(exc))
    manifest = Manifest(
        etag, [segment for segment, _ in found],
        [length for _, length in found])
    if manifest.size != size:
        raise ManifestError(f'{manifest.size} bytes and not {size}')
    return manifest


def _segment(item):
    """(:class:`Segment`, its bytes)"""
    if 'data' in item or item.get('sub_slo'):
        raise ManifestError('not of objects alone')
    container, _, name = item['name'].lstrip('/').partition('/')
    if '\0' in item['name']:
        raise ManifestError('reserved names')
    item['name'].encode('utf-8')  # Not all that is JSON is a name.
    etag, size = item['hash'], item['bytes']
    if not (container and name and isinstance(etag, str) and etag
            and type(size) is int and size > 0):
        raise ManifestError('malformed segment')
    first, last = 0, size - 1
    if item.get('range') is not None:
        match = _RANGE.match(item['range'])
        if not match:
            raise ManifestError('malformed range')
        first, last = map(int, match.groups())
        if not first <= last < size:
            raise ManifestError('no such range')
    return Segment(container, name, etag, first), last + 1 - first


class KnownManifests:
    """The manifests that were read last, in one process.

    That there is one says that the object may be segmented; whether it still
    is, and with which etag, a disk has to tell.

    :param limit: how many segments they may have together
    """

    def __init__(self, limit):
        self._limit = limit
        self._found = {}
        self._segments = 0

    def __contains__(self, target):
        return target in self._found

    def get(self, target, etag):
        """A manifest, or None.

        :param target: a :class:`~ai_factory_plugins.swift.backend.Target`
        :param etag: of the manifest itself
        """
        found = self._found.pop(target, None)
        if found is None:
            return None
        if found[0] != etag:
            self._segments -= len(found[1].segments)
            return None
        self._found[target] = found  # The last one is the latest used.
        return found[1]

    def add(self, target, etag, manifest):
        """Remember a manifest.

        :param etag: of the manifest itself
        """
        self.forget(target)
        self._found[target] = etag, manifest
        self._segments += len(manifest.segments)
        while self._segments > self._limit:
            self.forget(next(iter(self._found)))

    def forget(self, target):
        """Forget what is known of an object, if anything is."""
        found = self._found.pop(target, None)
        if found is not None:
            self._segments -= len(found[1].segments)


class Shares:
    """How many of the objects of a container are segmented, by the last ones.

    :param limit: how many containers are remembered
    """

    def __init__(self, limit=1000):
        self._limit = limit
        self._counts = {}

    def get(self, container):
        """The share, from 0 to 1; None if nothing is known."""
        segmented, count = self._counts.get(container, (0, 0))
        return segmented / count if count else None

    def note(self, container, is_segmented):
        """Note what an object of a container is."""
        segmented, count = self._counts.pop(container, (0, 0))
        if count >= _LAST:
            segmented, count = segmented / 2, count / 2
        self._counts[container] = segmented + is_segmented, count + 1
        if len(self._counts) > self._limit:
            del self._counts[next(iter(self._counts))]
