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


import unittest

from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import policy


class PolicyTest(unittest.TestCase):

    def parse(self, topology=None, how=None):
        specs = {'hw:cpu_policy': 'dedicated'}
        if topology is not None:
            specs['ai_factory:gpu_topology'] = topology
        if how is not None:
            specs['ai_factory:gpu_topology_policy'] = how
        return policy.parse(specs)

    def test_nothing_asked_for(self):
        self.assertIsNone(self.parse())

    def test_required_is_the_default(self):
        for name, level in (
                ('nvlink', model.Level.NVLINK), ('pcie', model.Level.PCIE),
                ('numa', model.Level.NUMA), ('any', model.Level.HOST)):
            self.assertEqual(policy.Policy(level, True), self.parse(name))
            self.assertEqual(level, self.parse(name, 'required').loosest)

    def test_preferred(self):
        asked = self.parse('nvlink', 'preferred')
        self.assertEqual(policy.Policy(model.Level.NVLINK, False), asked)
        self.assertEqual(model.Level.HOST, asked.loosest)
        self.assertEqual('nvlink (preferred)', str(asked))

    def test_which_need_tags(self):
        self.assertEqual(
            [True, True, False, False],
            [self.parse(t).needs_tags for t in policy.LEVELS])
        self.assertFalse(self.parse('nvlink', 'preferred').needs_tags)

    def test_typos(self):
        for topology, how in (
                ('NVLink', None), ('', None), ('nvlink ', None),
                ('nvlink', 'must'), (None, 'required')):
            with self.subTest(topology=topology, policy=how):
                self.assertRaises(
                    policy.PolicyError, self.parse, topology, how)
