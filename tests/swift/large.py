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

"""Static large objects, and whether they are read by their segments."""

import json
import os
import random
import time

from tests.swift import beside

KIB = 1024
SIZES = (100 * KIB, 300 * KIB, 1, 64 * KIB)  #: of the segments


def upload(tester, container, name, bodies, segments=None, **more):
    """Write a large object.

    :param segments: name of the container of the segments
    :param more: what all entries of the manifest have
    :returns: its bytes
    """
    segments = segments or f'{container}-segments'
    tester.put(f'/{segments}')
    for number, body in enumerate(bodies):
        tester.put(f'/{segments}/{name}/{number}', body)
    write(tester, container, name, [
        {'path': f'/{segments}/{name}/{number}', **more}
        for number in range(len(bodies))])
    return b''.join(bodies)


def write(tester, container, name, manifest):
    tester.put(f'/{container}/{name}', json.dumps(manifest).encode(),
               '?multipart-manifest=put')


def random_bodies():
    return [os.urandom(size) for size in SIZES]


def ordinary(swift):
    """How many objects were read the ordinary way for batches."""
    return sum(
        ' BR ' in line and ' GET ' in line and 'multipart-manifest' not in line
        for line in swift.layout.log('proxy').read_text(
            errors='replace').splitlines())


class Reads:
    """Whether batches are read by segments.

    :param swift: a :class:`~cloud.services.swift.Swift`
    """

    def __init__(self, swift):
        self._swift = swift
        time.sleep(0.3)  # What was read before may not be in the log yet.
        self._ordinary = ordinary(swift)
        self._sent = beside.reads(swift)

    def check(self):
        """See that object servers were asked, and Swift was not."""
        time.sleep(0.3)
        assert ordinary(self._swift) == self._ordinary
        assert beside.reads(self._swift) > self._sent


def some_ranges(size, count, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        first = rng.randrange(size)
        yield [first, min(first + rng.randrange(200 * KIB), size - 1)]


def check(blobs, wanted, found):
    for item, got in zip(wanted, found, strict=True):
        assert got.status == (206 if 'ranges' in item else 200), got
        blob = blobs[item['object']]
        assert got.data == [
            blob[first:last + 1] for first, last in item.get(
                'ranges', [[0, len(blob)]])]
        assert got.meta['size'] == len(blob)
