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


from nova.api.validation.extra_specs import validators
import nova.conf
from nova import exception
from oslo_config import fixture as config_fixture
import testtools

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.topology import fabric
from ai_factory_plugins.topology import policy

CONF = nova.conf.CONF


class ExtraSpecsTest(testtools.TestCase):
    """Through Nova's own registry, as nova-api sees the validators."""

    def setUp(self):
        super().setUp()
        conf.register_opts(CONF)

    def test_what_the_scheduler_accepts_is_accepted(self):
        for name, values in ((policy.TOPOLOGY, policy.LEVELS),
                             (policy.TOPOLOGY_POLICY, policy.POLICIES),
                             (policy.NIC_AFFINITY, policy.POLICIES),
                             (fabric.LOCALITY, ('block', 'leaf', 'clique')),
                             (fabric.LOCALITY_POLICY, fabric.POLICIES)):
            for value in values:
                validators.validate(name, value)

    def test_a_wrong_value_is_refused_with_those_that_are_allowed(self):
        error = self.assertRaises(
            exception.ValidationError, validators.validate,
            'ai_factory:gpu_topology', 'nvlnk')
        self.assertIn('nvlink, pcie, numa, any', str(error))
        error = self.assertRaises(
            exception.ValidationError, validators.validate,
            'ai_factory:gpu_topology_policy', 'Required')
        self.assertIn('required, preferred', str(error))

    def test_levels_of_the_fabric_are_the_operators(self):
        self.useFixture(config_fixture.Config(CONF)).config(
            group='ai_factory', fabric_levels=['pod', 'rack'])
        validators.validate('ai_factory:fabric_locality', 'rack')
        error = self.assertRaises(
            exception.ValidationError, validators.validate,
            'ai_factory:fabric_locality', 'leaf')
        self.assertIn('pod, rack', str(error))

    def test_a_wrong_name_is_refused(self):
        self.assertRaises(
            exception.ValidationError, validators.validate,
            'ai_factory:gpu_topologie', 'nvlink')

    def test_others_are_left_alone(self):
        validators.validate('acme:gpu_topologie', 'whatever')
