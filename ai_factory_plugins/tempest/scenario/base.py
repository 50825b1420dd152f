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

"""What the tests have in common: flavors, servers, and who got which GPUs.

Nova's API does not show a server's devices, but placement's shows to
administrators which providers are allocated to it, and their traits say what
joins them.
"""

import collections

from tempest.common import waiters
from tempest import config
from tempest.lib.common import api_microversion_fixture
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils
from tempest import test

from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import selection
from ai_factory_plugins.topology import traits

CONF = config.CONF
# From here on Nova looks into extra specs.
COMPUTE_API = '2.86'
PLACEMENT_API = '1.17'


class ScenarioTest(test.BaseTestCase):
    """Base of the tests."""

    credentials = ['primary', 'admin']

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.service_available.ai_factory:
            raise cls.skipException('there are no plugins in this cloud')

    @classmethod
    def setup_credentials(cls):
        # The servers have no networks.
        cls.set_network_resources()
        super().setup_credentials()

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        cls.servers = cls.os_primary.servers_client
        cls.flavors = cls.os_admin.flavors_client
        cls.placement = cls.os_admin.placement_client
        cls.providers = cls.os_admin.resource_providers_client

    def setUp(self):
        super().setUp()
        self.useFixture(api_microversion_fixture.APIMicroversionFixture(
            compute_microversion=COMPUTE_API,
            placement_microversion=PLACEMENT_API))

    def make_flavor(self, extra_specs, **fields):
        """Make a flavor, for the time of the test.

        :param extra_specs: dict of names to values
        :returns: its id
        """
        fields = {'ram': 1024, 'vcpus': 1, 'disk': 1, **fields}
        flavor = self.flavors.create_flavor(
            name=data_utils.rand_name('ai-factory'), **fields)['flavor']['id']
        self.addCleanup(self.flavors.delete_flavor, flavor)
        self.flavors.set_flavor_extra_spec(flavor, **extra_specs)
        return flavor

    def ask(self, flavor):
        """Ask for a server, for the time of the test.

        :returns: its id
        """
        server = self.servers.create_server(
            name=data_utils.rand_name('ai-factory'), flavorRef=flavor,
            imageRef=CONF.compute.image_ref, networks='none')['server']['id']
        self.addCleanup(test_utils.call_and_ignore_notfound_exc,
                        self.delete, server)
        return server

    def boot(self, flavor):
        """Ask for a server and wait until it runs."""
        server = self.ask(flavor)
        waiters.wait_for_server_status(self.servers, server, 'ACTIVE')
        return server

    def delete(self, server):
        """Delete a server and wait until it and what it has are free."""
        self.servers.delete_server(server)
        waiters.wait_for_server_termination(
            self.servers, server, ignore_error=True)
        self.assertTrue(test_utils.call_until_true(
            lambda: not self.placement.list_allocations(server)['allocations'],
            self.servers.build_timeout, self.servers.build_interval))

    def assert_refused(self, flavor):
        """A server with this flavor finds no host."""
        server = self.ask(flavor)
        waiters.wait_for_server_status(
            self.servers, server, 'ERROR', ready_wait=False,
            raise_on_error=False)
        fault = self.servers.show_server(server)['server']['fault']
        self.assertIn('No valid host was found', fault['message'])
        self.delete(server)


class GPUTest(ScenarioTest):
    """Base of the tests of servers with GPUs."""

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not (CONF.ai_factory.gpu_alias
                and CONF.ai_factory.gpu_resource_class):
            raise cls.skipException('[ai_factory]gpu_alias is not set')

    def make_gpu_flavor(self, count, **extra_specs):
        """A flavor with so many GPUs that NVLink joins."""
        return self.make_flavor({
            'pci_passthrough:alias': f'{CONF.ai_factory.gpu_alias}:{count}',
            'ai_factory:gpu_topology': 'nvlink', **extra_specs},
            vcpus=count)

    def free(self):
        """How many GPUs nobody has, by the root of their host's providers.

        Those of which nothing tells what joins them do not count.
        """
        found = self.providers.list_resource_providers(
            resources=f'{CONF.ai_factory.gpu_resource_class}:1')
        return collections.Counter(
            provider['root_provider_uuid']
            for provider in found['resource_providers']
            if self._is_known(self._device(provider['uuid'])))

    def gpus(self, server):
        """The GPUs of a server.

        :returns: list of :class:`~ai_factory_plugins.topology.model.Device`
        """
        allocations = self.placement.list_allocations(server)['allocations']
        return [self._device(uuid) for uuid, held in allocations.items()
                if CONF.ai_factory.gpu_resource_class in held['resources']]

    def _device(self, uuid):
        names = self.providers.list_resource_provider_traits(uuid)['traits']
        return traits.decode(names, uuid)

    @staticmethod
    def _is_known(device):
        return bool(device.partitions or device.groups)

    def host(self, device):
        """The root of the providers of a device's host."""
        provider = self.providers.show_resource_provider(device.key)
        return provider['root_provider_uuid']

    def assert_joined(self, server, count):
        """A server has so many GPUs, and NVLink joins them.

        :returns: list of its devices
        """
        devices = self.gpus(server)
        self.assertEqual(count, len(devices))
        found = selection.FreePool(devices).describe(
            [device.key for device in devices])
        self.assertEqual(model.Level.NVLINK, found.cost.level)
        return devices
