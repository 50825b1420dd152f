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


import testtools

from ai_factory_plugins.nova import candidates

TEMPLATE = {
    'allocations': {
        'root': {'resources': {'VCPU': 4}},
        'a': {'resources': {'GPU': 1}},
        'b': {'resources': {'GPU': 1, 'NIC': 1}}},
    'mappings': {'': ['root'], 'r-0': ['a'], 'r-1': ['b'], 'n-0': ['b']}}


class CandidatesTest(testtools.TestCase):

    def test_substitute(self):
        made = candidates.substitute(TEMPLATE, 'GPU', {'r-0': 'c', 'r-1': 'a'})
        self.assertEqual({
            'root': {'resources': {'VCPU': 4}},
            'a': {'resources': {'GPU': 1}},
            'b': {'resources': {'NIC': 1}},
            'c': {'resources': {'GPU': 1}}}, made['allocations'])
        self.assertEqual(
            {'': ['root'], 'r-0': ['c'], 'r-1': ['a'], 'n-0': ['b']},
            made['mappings'])

    def test_template_is_not_changed(self):
        made = candidates.substitute(TEMPLATE, 'GPU', {'r-0': 'c'})
        made['allocations']['root']['resources']['VCPU'] = 0
        self.assertEqual(['a'], TEMPLATE['mappings']['r-0'])
        self.assertEqual(
            {'VCPU': 4}, TEMPLATE['allocations']['root']['resources'])

    def test_same_devices_give_the_same_candidate(self):
        self.assertEqual(TEMPLATE, candidates.substitute(
            TEMPLATE, 'GPU', {'r-0': 'a', 'r-1': 'b'}))

    def test_devices(self):
        self.assertEqual(
            ['b', 'a'], candidates.devices(TEMPLATE, ['r-1', 'r-0']))
        self.assertIsNone(candidates.devices(TEMPLATE, ['r-0', 'r-2']))
        two = {'mappings': {'r-0': ['a', 'b']}}
        self.assertIsNone(candidates.devices(two, ['r-0']))
