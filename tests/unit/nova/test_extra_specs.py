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
from nova import exception
import testtools

from ai_factory_plugins.topology import policy


class ExtraSpecsTest(testtools.TestCase):
    """Through Nova's own registry, as nova-api sees the validators."""

    def test_what_the_scheduler_accepts_is_accepted(self):
        for name, values in ((policy.TOPOLOGY, policy.LEVELS),
                             (policy.TOPOLOGY_POLICY, policy.POLICIES),
                             (policy.NIC_AFFINITY, policy.POLICIES)):
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

    def test_a_wrong_name_is_refused(self):
        self.assertRaises(
            exception.ValidationError, validators.validate,
            'ai_factory:gpu_topologie', 'nvlink')

    def test_others_are_left_alone(self):
        validators.validate('acme:gpu_topologie', 'whatever')
