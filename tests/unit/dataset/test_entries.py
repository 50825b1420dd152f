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

"""Requests are understood, or refused with a reason."""

import json
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.dataset import entries

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
LIMITS = entries.Limits(max_entries=5, max_ranges=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4), max_leaves=8)
LINES = st.dictionaries(
    st.sampled_from(['object', 'container', 'ranges', 'etag', 'id', 'x']),
    VALUES, max_size=6)


def parse(*lines, container='c', limits=LIMITS):
    return entries.parse(
        b''.join(json.dumps(line).encode() + b'\n' for line in lines),
        limits, container)


class ParseTest(unittest.TestCase):

    def refused(self, status, body, **options):
        with self.assertRaises(entries.RequestError) as caught:
            entries.parse(body, LIMITS, **options)
        self.assertEqual(caught.exception.status, status)

    def test_all_fields(self):
        entry, = parse({
            'object': 'o', 'container': 'd', 'etag': '"abc"', 'id': 'i',
            'ranges': [[0, 1], [None, 5], [7, None]]}, container=None)
        self.assertEqual(entry, entries.Entry(
            0, 'd', 'o', ((0, 1), (None, 5), (7, None)), 'abc', 'i'))

    def test_lines(self):
        good = b'{"object":"o"}'
        self.assertEqual(len(entries.parse(good, LIMITS, 'c')), 1)
        self.assertEqual(len(entries.parse(good + b'\n', LIMITS, 'c')), 1)
        self.assertEqual(
            len(entries.parse((good + b'\n') * 5, LIMITS, 'c')), 5)
        self.refused(413, (good + b'\n') * 6)
        self.refused(413, b'\n'.join([good] * 6))
        for body in (b'', b'\n', good + b'\n\n', b'\n' + good, b'x', b'[]',
                     b'{"object":NaN}', b'\xff', b'[' * 9999):
            self.refused(400, body)
        self.refused(413, b'{"object":"%s"}' % (b'x' * 70000))

    def test_ranges_are_counted(self):
        line = {'object': 'o', 'ranges': [[0, 0]] * 4}
        self.assertEqual(len(parse(line, line)), 2)
        with self.assertRaises(entries.RequestError):
            parse(line, line, {'object': 'o', 'ranges': [[0, 0]]})

    def test_lengths(self):
        for name, most in (
                ('id', 'x' * entries.MAX_ID), ('etag', 'x' * 128),
                ('ranges', [[0, 0]] * entries.MAX_RANGES)):
            for value, is_right in ((most, True), (most + most[:1], False)):
                entry, = parse({'object': 'o', name: value},
                               limits=entries.Limits(1, 2000))
                self.assertEqual(entry.error is None, is_right, name)
        line = b'{"object":"o"}'.ljust(entries.MAX_LINE)
        self.assertEqual(len(entries.parse(line, LIMITS, 'c')), 1)
        self.refused(413, line + b' ')

    def test_positions(self):
        for position, is_right in (
                (entries.MAX_POSITION, True),
                (entries.MAX_POSITION + 1, False), (-1, False), (True, False),
                (1.0, False), ('1', False)):
            for wanted in ([0, position], [position, None], [None, position]):
                entry, = parse({'object': 'o', 'ranges': [wanted]})
                self.assertEqual(entry.error is None, is_right, wanted)
        entry, = parse({'object': 'o', 'ranges': [[5, 4]]})
        self.assertEqual(entry.error.status, 400)

    def test_names(self):
        for name, status in (
                ('a%2Fb', None), ('../a//b', None), ('ü\n', None), ('', 400),
                (5, 400), ('a\0', 412), ('\ud800', 412)):
            for container, line in (
                    ('c', {'object': name}),
                    (None, {'object': name, 'container': 'c'}),
                    (None, {'object': 'o', 'container': name})):
                expected = status
                if line.get('container') == name and '/' in str(name):
                    expected = 400
                entry, = parse(line, container=container)
                self.assertEqual(
                    entry.error and entry.error.status, expected, line)

    def test_container_of_the_path(self):
        self.assertEqual(parse({'object': 'o'})[0].container, 'c')
        self.assertEqual(
            parse({'object': 'o', 'container': 'c'})[0].error.status, 400)
        self.assertEqual(
            parse({'object': 'o'}, container=None)[0].error.status, 400)

    @PATIENT
    @hypothesis.given(st.lists(LINES, min_size=1, max_size=5),
                      st.sampled_from([None, 'c']))
    def test_anything(self, lines, container):
        try:
            found = entries.parse(
                b''.join(json.dumps(line).encode() + b'\n'
                         for line in lines), LIMITS, container)
        except entries.RequestError as exc:
            self.assertIn(exc.status, (400, 413))
            return
        self.assertEqual(len(found), len(lines))
        for entry in found:
            if entry.error is not None:
                self.assertIn(entry.error.status, (400, 412))
                continue
            again, = entries.parse(entry.line(), LIMITS, None)
            again.index = entry.index
            self.assertEqual(again, entry)

    @PATIENT
    @hypothesis.given(st.binary(max_size=100))
    def test_noise(self, body):
        try:
            entries.parse(body, LIMITS)
        except entries.RequestError as exc:
            self.assertIn(exc.status, (400, 413))
