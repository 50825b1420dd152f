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


"""A Nova of several hosts with GPU boards, in one process."""

import collections
import functools
import json
import pathlib
import sys
import tempfile
import time
import uuid
import warnings

import fixtures
import nova.conf
from nova import context
from nova import objects
from nova.tests.functional import integrated_helpers
from placement.tests.functional.fixtures import placement as placement_fixture

from ai_factory_plugins.inventory import capture
from ai_factory_plugins.inventory import nova_conf
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.testing import boards
from ai_factory_plugins.testing import virt
from ai_factory_plugins.topology import selection

CONF = nova.conf.CONF
FILTERS = ('ComputeFilter', 'ServerGroupAntiAffinityFilter',
           'ServerGroupAffinityFilter', 'GPUTopologyFilter',
           'NUMATopologyFilter',
           'PciPassthroughFilter')
PLACEMENT = (
    ('placement', 'max_allocation_candidates', 100),
    ('placement', 'allocation_candidates_generation_strategy',
     'breadth-first'),
    ('workarounds', 'optimize_for_wide_provider_trees', True))
RETRIES = 120
# Nova looks for drivers below nova.virt alone.
sys.modules['nova.virt.ai_factory_boards'] = sys.modules[__name__]


@functools.cache
def board(name):
    """A board as the inventory reads it."""
    with tempfile.TemporaryDirectory() as directory:
        boards.write_capture(boards.load(name), directory)
        return capture.read_directory(directory)


class Driver(virt.BoardDriver):
    """The virt driver of every host; each has a board of its own."""

    #: sysfs roots, by name of the host
    roots = {}

    def get_available_resource(self, nodename):
        CONF.register_opts(virt.OPTS, group=virt.GROUP)
        CONF.set_override(
            'sysfs_root', self.roots[nodename], 'ai_factory_boards')
        return {**super().get_available_resource(nodename),
                'uuid': _node_uuid(nodename)}

    def get_nodenames_by_uuid(self, refresh=False):
        return {_node_uuid(name): name for name in self.get_available_nodes()}


def _node_uuid(name):
    # One process has one file with a uuid, and here many hosts.
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def _configured(set_up):
    """Placement with the settings that the installation guide asks for."""
    def wrapper(fixture):
        set_up(fixture)
        for group, name, value in PLACEMENT:
            # Placement 14.0.0 knows no workarounds; 13.0.1 does.
            if group in fixture.conf_fixture.conf:
                fixture.conf_fixture.config(group=group, **{name: value})
    return wrapper


Held = collections.namedtuple('Held', ['host', 'addresses'])


class NovaTestCase(integrated_helpers.ProviderUsageBaseTestCase):
    """Nova with the plugins, and hosts that a test starts with :meth:`host`.

    ``filters`` are the scheduler's; ``aliases`` the boards that flavors can
    ask for.
    """

    compute_driver = 'ai_factory_boards.Driver'
    microversion = 'latest'
    filters = FILTERS
    weighers = ('nova.scheduler.weights.all_weighers',
                'ai_factory_plugins.nova.all_weighers')
    aliases = ('hgx-h100',)
    with_nics = False
    NUMBER_OF_CELLS = 1

    def setUp(self):
        self.useFixture(fixtures.MonkeyPatch(
            f'{Driver.__module__}.Driver.roots', {}))
        self.boards = {}
        self.flags(group='wsgi', api_paste_config=str(
            pathlib.Path(sys.prefix, 'etc/nova/api-paste.ini')))
        self.flags(
            pci_in_placement=True, enabled_filters=list(self.filters),
            available_filters=['nova.scheduler.filters.all_filters',
                               'ai_factory_plugins.nova.all_filters'],
            weight_classes=list(self.weighers), group='filter_scheduler')
        self.useFixture(fixtures.MonkeyPatch(
            f'{placement_fixture.__name__}.PlacementFixture.setUp',
            _configured(placement_fixture.PlacementFixture.setUp)))
        super().setUp()
        # Nova's fixture makes an error of what newer libraries only warn of.
        warnings.simplefilter('ignore')
        # A mock would be copied with the PCI statistics of every candidate.
        self.useFixture(fixtures.MonkeyPatch(
            'nova.pci.utils.is_physical_function', lambda *address: False))
        self.flags(report_in_placement=True, group='pci', alias=[
            json.dumps(alias) for name in self.aliases
            for alias in nova_conf.aliases(board(name))] + [json.dumps({
                'name': 'nic', 'vendor_id': '15b3', 'product_id': '1021',
                'device_type': 'type-PCI',
                'resource_class': 'CUSTOM_NIC_15B3_1021'})])

    def host(self, name, gpus='hgx-h100', edit=None, cell_name=None):
        """Start a compute host with a board.

        :param edit: callable that changes the list of device specs (dicts)
        """
        directory = self.useFixture(fixtures.TempDir()).path
        boards.write_capture(boards.load(gpus), directory)
        Driver.roots[name] = directory + '/sys'
        self.boards[name] = board(gpus)
        specs = nova_conf.device_specs(self.boards[name])
        specs += nova_conf.nic_device_specs(self.nics(directory))
        if edit is not None:
            specs = edit(specs)
        self.flags(group='pci', device_spec=[
            json.dumps(spec) for spec in specs])
        return self._start_compute(name, cell_name=cell_name)

    def nics(self, directory):
        """The NICs of a captured board that servers may have."""
        if not self.with_nics:
            return []
        return [device for device in
                sysfs.read_pci_devices(directory + '/sys')
                if device.class_code >> 16 == 2]

    def flavor(self, count, extra_specs=(), alias='h100-sxm5-80gb', **kwargs):
        """Make a flavor with GPUs; ``count`` 0 is one without.

        :returns: its id
        """
        specs = {'ai_factory:gpu_topology': 'nvlink'} if count else {}
        if count:
            specs['pci_passthrough:alias'] = f'{alias}:{count}'
        specs.update(extra_specs)
        specs = {k: v for k, v in specs.items() if v is not None}
        return self._create_flavor(
            vcpu=2, memory_mb=1024, disk=1, extra_spec=specs, **kwargs)

    def boot(self, flavor_id, state='ACTIVE', **kwargs):
        """Create a server and wait for it."""
        server = self.settled(self.ask(flavor_id, **kwargs))
        self.assertEqual(state, server['status'], server.get('fault'))
        return server

    def settled(self, server):
        """Wait until a server is ACTIVE or in ERROR."""
        for _ in range(RETRIES):
            found = self.api.get_server(server['id'])
            if found['status'] == 'ACTIVE' or 'fault' in found:
                return found
            time.sleep(0.5)
        self.fail(f'nothing became of {found}')

    def _wait_for_server_parameter(self, server, expected_params,
                                   max_retries=10, *args, **kwargs):
        # Nova's own patience is that of a quick machine.
        return super()._wait_for_server_parameter(
            server, expected_params, max(max_retries, RETRIES), *args,
            **kwargs)

    def ask(self, flavor_id, hints=None, image_uuid=None, host=None, az=None,
            **kwargs):
        """Create a server, or several, and return the first at once."""
        server = self._build_server(
            flavor_id=flavor_id, networks='none', image_uuid=image_uuid,
            host=host, az=az)
        body = {'server': {**server, **kwargs}}
        if hints:
            body['os:scheduler_hints'] = hints
        return self.api.post_server(body)

    def service(self, host):
        """The id of the compute service of a host."""
        return self.api.get_services(
            binary='nova-compute', host=host)[0]['id']

    def held(self, server):
        """The devices that a server has on its host, as Nova's cell says.

        :returns: a :class:`Held`
        """
        for cell in self.cell_mappings.values():
            with context.target_cell(
                    context.get_admin_context(), cell) as cctxt:
                instances = objects.InstanceList.get_by_filters(
                    cctxt, {'uuid': server['id'], 'deleted': False})
                if not instances or not instances[0].host:
                    continue
                node = objects.ComputeNode.get_by_host_and_nodename(
                    cctxt, instances[0].host, instances[0].node)
                return Held(node.host, sorted(
                    device.address for device in
                    objects.PciDeviceList.get_by_instance_uuid(
                        cctxt, server['id'])
                    if device.compute_node_id == node.id))
        return Held(None, [])

    def claimed(self, server):
        """The devices of a server according to placement."""
        found = {}
        for provider in self._get_allocations_by_server_uuid(server['id']):
            name = self._get_resource_provider_by_uuid(provider)['name']
            host, _, address = name.partition('_')
            if address:
                found.setdefault(host, []).append(address.lower())
        return [Held(host, sorted(addresses))
                for host, addresses in sorted(found.items())]

    def joined_by(self, server):
        """How tightly the devices of a server are joined."""
        held = self.held(server)
        pool = selection.FreePool(self.boards[held.host].devices())
        return pool.describe(held.addresses).cost.level

    def assertHolds(self, server, count, level='NVLINK'):  # noqa: N802
        """The server has so many GPUs, joined, and placement agrees."""
        held = self.held(server)
        self.assertEqual(count, len(held.addresses))
        self.assertEqual([held], self.claimed(server))
        self.assertEqual(level, self.joined_by(server).name)

    def fault(self, server):
        """The message of a server's fault."""
        return self.api.get_server(server['id'])['fault']['message']
