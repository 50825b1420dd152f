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

"""TAR archives, as Python's own reader sees them."""

import io
import json
import tarfile
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift import formats
from ai_factory_plugins.swift.formats import archive

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
NAMES = st.text(min_size=1, max_size=300) | st.text('./~a\0', min_size=1)


def read(pieces):
    """The members of an archive, read from front to back.

    :returns: list of (member, data)
    """
    stream = io.BytesIO(b''.join(pieces))
    with tarfile.open(fileobj=stream, mode='r|') as found:
        return [(member, found.extractfile(member).read())
                for member in found]


def meta(size):
    return {'etag': 'e', 'size': size, 'parts': [(0, size)],
            'headers': {'X-Timestamp': '1700000000.5'}}


class TarTest(unittest.TestCase):

    @PATIENT
    @hypothesis.given(st.lists(st.tuples(
        NAMES, st.none() | NAMES, st.binary(max_size=2000),
        st.integers(1, 700)), max_size=8))
    def test_anything(self, wanted):
        tar, sent = archive.Tar('c'), []
        for index, (name, ident, data, step) in enumerate(wanted):
            entry = entries.Entry(index, 'c', name, (), None, ident)
            sent += tar.begun(entry, 200, meta(len(data)), data[:step])
            for start in range(step, len(data), step):
                sent += tar.more(entry, 200, data[start:start + step])
        sent += tar.ended(len(wanted), 0)
        self.assertFalse(sum(map(len, sent)) % 512)
        *found, (end, _) = read(sent)
        self.assertEqual(end.name, '__batch_read_end__')
        self.assertEqual(
            [data for _, data in found], [item[2] for item in wanted])
        names = [member.name for member, _ in found]
        self.assertEqual(len(set(names)), len(names))
        for index, (member, _) in enumerate(found):
            self.assertTrue(member.isreg())
            self.assertEqual(member.mtime, 1700000000)
            self.assertEqual(
                json.loads(member.pax_headers['comment'])['entry'], index)
            self.assertFalse(
                {'', '.', '..'} & set(member.name.split('/')), member.name)
            self.assertNotIn('\0', member.name)

    def test_large_member(self):
        tar = archive.Tar('c')
        size = 9 * 2 ** 30
        stream = io.BytesIO(b''.join(tar.begun(
            entries.Entry(0, 'c', 'o'), 200, meta(size))))
        with tarfile.open(fileobj=stream, mode='r|') as found:
            self.assertEqual(found.next().size, size)

    def test_no_way_back(self):
        tar = archive.Tar('c')
        entry = entries.Entry(0, 'c', 'o')
        tar.begun(entry, 200, meta(5), b'abc')
        with self.assertRaises(formats.Cut):
            tar.aborted(entry, 503, 'damaged')

    def test_without_headers(self):
        """An object server that is older does not tell them."""
        tar = archive.Tar('c')
        sent = tar.begun(entries.Entry(0, 'c', 'o'), 200, {
            'etag': 'e', 'size': 1, 'parts': [[0, 1]]}, b'x')
        (member, data), = read([*sent, bytes(1024)])
        self.assertEqual(data, b'x')
        self.assertGreater(member.mtime, 1700000000)

    def test_refusal(self):
        tar = archive.Tar('c')
        sent = tar.refused(entries.Entry(7, id='x'), 404,
                           {'reason': 'no', 'id': 'x'})
        (member, data), (_, end) = read([*sent, *tar.ended(8, 0)])
        self.assertEqual(member.name, '__batch_read_error_7__')
        self.assertEqual(json.loads(data), {
            'entry': 7, 'status': 404, 'reason': 'no', 'id': 'x'})
        self.assertEqual(json.loads(end)['failed'], 1)
