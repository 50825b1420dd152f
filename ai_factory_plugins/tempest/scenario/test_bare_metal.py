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

"""Flavors made of what inspection found get machines with these traits."""

import json

from tempest import config
from tempest.lib.common import rest_client
from tempest.lib import decorators

from ai_factory_plugins.baremetal import shape
from ai_factory_plugins.tempest.scenario import base

CONF = config.CONF
# Nodes have traits.
API = '1.37'


class BareMetalClient(rest_client.RestClient):
    """What is asked of Ironic."""

    def nodes(self):
        """The nodes with all that is known of them."""
        resp, body = self.get(
            '/v1/nodes/detail',
            headers={'X-OpenStack-Ironic-API-Version': API,
                     **self.get_headers()})
        self.expected_success(200, resp.status)
        return json.loads(body)['nodes']


@decorators.serial
class BareMetalTest(base.ScenarioTest):

    # Machines without owner are seen by those of the system alone.
    credentials = ['primary', 'admin', 'system_admin']

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.ai_factory.bare_metal:
            raise cls.skipException('[ai_factory]bare_metal is not set')

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        cls.bare_metal = BareMetalClient(
            cls.os_system_admin.auth_provider, 'baremetal',
            CONF.identity.region)

    def available(self):
        """The machines that a server can have."""
        return [node for node in self.bare_metal.nodes()
                if node['provision_state'] == 'available'
                and not node['maintenance']]

    @decorators.idempotent_id('f3b1de54-6f3e-4a52-8c38-59f7f2a0f4b6')
    def test_server_by_trait(self):
        nodes = self.available()
        flavors = shape.flavors(nodes)
        if not flavors:
            self.skipTest('no machine with GPUs is available')
        flavor = flavors[0]
        for trait in flavor.traits:
            # Without a body: what placement does not read can make a 502 of
            # Apache's.
            self.placement.put(f'/traits/{trait}', None)
        # As large as the machine, it would not be in a usual quota.
        server = self.boot(self.make_flavor(flavor.extra_specs))
        node, = (node for node in self.bare_metal.nodes()
                 if node['instance_uuid'] == server)
        for name, value in flavor.extra_specs.items():
            if name.startswith('trait:'):
                wanted = value == 'required'
                self.assertEqual(
                    wanted, name.removeprefix('trait:') in node['traits'])
