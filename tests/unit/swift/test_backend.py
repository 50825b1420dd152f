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

"""What the proxy sends is what the object server understands."""

import json
import unittest

import hypothesis
from hypothesis import strategies as st

from ai_factory_plugins.swift import backend

# The machine may be busy.
PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
TARGET = backend.Target('d0', 5, 0, 'AUTH_a', 'c', 'ö')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(['version', 'targets', 'reads']), inner, max_size=3),
    max_leaves=12)


class MessageTest(unittest.TestCase):

    def test_round_trip(self):
        reads = [backend.Read(0, 0, ((0, 5), (None, 7), (3, None)), None),
                 backend.Read(4, 0, (), 'etag')]
        self.assertEqual(
            backend.load(backend.dump([TARGET], reads)), ([TARGET], reads))

    def test_refused(self):
        good = [0, 0, [[0, 5]], None]
        for reads in (
                [5], [[0]], [[0, 1, [], None]], [[-1, 0, [], None]],
                [[0, 0, [[5, 0]], None]], [[0, 0, [[None, None]], None]],
                [[0, 0, [['0', 5]], None]], [[0, 0, 5, None]],
                [[0, 0, [], 5]], [[2 ** 32, 0, [], None]], [good, None]):
            with self.assertRaises(backend.MessageError):
                backend.load(backend.dump([TARGET], reads))
        for target in (['d0'], [*TARGET[:-1], ''], [*TARGET[:-1], 5],
                       ['d0', 'x', *TARGET[2:]], None):
            with self.assertRaises(backend.MessageError):
                backend.load(backend.dump([target], [good]))

    def test_other_versions(self):
        body = json.loads(backend.dump([TARGET], []))
        body['version'] = 2
        with self.assertRaises(backend.MessageError):
            backend.load(json.dumps(body).encode())

    @PATIENT
    @hypothesis.given(VALUES, VALUES)
    def test_anything(self, targets, reads):
        try:
            backend.load(backend.dump(targets, reads))
        except backend.MessageError:
            pass
