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


"""Real Nova objects for tests, with GPUs of the documented boards."""

import copy
import functools
import tempfile
from urllib import parse
import uuid

import fixtures
import nova.conf
from nova import objects
from nova.pci import stats as pci_stats
from nova.scheduler import host_manager
from oslo_config import fixture as config_fixture
import testtools

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.inventory import capture
from ai_factory_plugins.testing import boards
from ai_factory_plugins.topology import wire

CONF = nova.conf.CONF
RESOURCE_CLASS = 'CUSTOM_GPU_H100_SXM5_80GB'


@functools.cache
def board(name='hgx-h100'):
    """A board as the inventory reads it from the documented capture."""
    with tempfile.TemporaryDirectory() as directory:
        boards.write_capture(boards.load(name), directory)
        return capture.read_directory(directory)


class Response:
    """What a keystoneauth adapter returns, as far as placement's answers."""

    def __init__(self, status_code, body):
        self.status_code = status_code
        self._body = body
        self.text = str(body)

    def json(self):
        if isinstance(self._body, str):
            raise ValueError('not JSON')
        return self._body


class FakePlacement:
    """Answers the one query of the filter as placement does.

    :ivar free: dict of resource class to the uuids of free providers
    :ivar error: a :class:`Response` or an exception instead of an answer
    """

    def __init__(self):
        self.free = {}
        self.error = None
        self.queries = []

    def get(self, url, version=None, global_request_id=None):
        path, _, query = url.partition('?')
        query = dict(parse.parse_qsl(query))
        self.queries.append(query)
        if isinstance(self.error, Exception):
            raise self.error
        if self.error is not None:
            return self.error
        if path != '/resource_providers' or version != '1.18':
            return Response(404, 'not found')
        resource_class, _, amount = query['resources'].partition(':')
        if amount != '1':
            return Response(400, 'one device is one provider')
        return Response(200, {'resource_providers': [
            {'uuid': provider, 'name': f'host_{provider}'}
            for provider in sorted(
                self.free.get(resource_class, ()))]})


class Host:
    """A compute host with one board, from its tags to its candidates."""

    def __init__(self, name, gpus, tags=True):
        self.name = name
        self.board = gpus
        self.root = str(uuid.uuid4())
        self.providers = {
            gpu.address: str(uuid.uuid4()) for gpu in gpus.gpus}
        self.modules = {gpu.module_id: gpu.address for gpu in gpus.gpus}
        self.in_use = set()
        self.tags = {}
        if tags:
            self.tags = {
                gpu.address: wire.encode(gpus.device(gpu.address))
                for gpu in gpus.gpus}

    def use(self, *modules):
        """Take GPUs by module id."""
        self.in_use.update(self.modules[module] for module in modules)

    @property
    def free(self):
        return [gpu for gpu in self.board.gpus
                if gpu.address not in self.in_use]

    def provider(self, module):
        return self.providers[self.modules[module]]

    def modules_of(self, candidate):
        """Module ids of the GPUs that a candidate names, sorted."""
        names = {uuid: gpu.module_id for gpu in self.board.gpus
                 for uuid in [self.providers[gpu.address]]}
        return sorted(
            names[provider] for providers in candidate['mappings'].values()
            for provider in providers if provider in names)

    def _pools(self):
        for gpu in self.free:
            pool = {
                'vendor_id': gpu.vendor_id, 'product_id': gpu.product_id,
                'numa_node': gpu.numa_node, 'count': 1,
                'dev_type': 'type-PCI', 'address': gpu.address,
                'rp_uuid': self.providers[gpu.address]}
            if gpu.address in self.tags:
                pool[wire.TAG_KEY] = self.tags[gpu.address]
            yield objects.PciDevicePool.from_dict(pool)

    def state(self, spec, offers=1):
        """The HostState, with candidates as placement might offer them."""
        state = host_manager.HostState(self.name, self.name, str(uuid.uuid4()))
        state.uuid = self.root
        # As from the database: pools are written to it and read from it.
        primitive = objects.PciDevicePoolList(
            objects=list(self._pools())).obj_to_primitive()
        state.pci_stats = pci_stats.PciDeviceStats(
            None, objects.PciDevicePoolList.obj_from_primitive(
                copy.deepcopy(primitive)))
        providers = [self.providers[gpu.address] for gpu in self.free]
        groups = [group.requester_id for group in spec.requested_resources]
        state.allocation_candidates = [
            self._candidate(groups, providers[i:] + providers[:i])
            for i in range(offers) if len(providers) >= len(groups)]
        return state

    def _candidate(self, groups, providers):
        chosen = dict(zip(groups, providers))
        return {
            'allocations': {
                self.root: {'resources': {'VCPU': 4, 'MEMORY_MB': 1024}},
                **{provider: {'resources': {RESOURCE_CLASS: 1}}
                   for provider in chosen.values()}},
            'mappings': {
                '': [self.root],
                **{group: [provider] for group, provider in chosen.items()}}}


def request_spec(count, topology='nvlink', policy=None, numa=False):
    """A RequestSpec as nova-api makes it from a flavor with a PCI alias."""
    extra_specs = {'pci_passthrough:alias': f'gpu:{count}'}
    if topology is not None:
        extra_specs['ai_factory:gpu_topology'] = topology
    if policy is not None:
        extra_specs['ai_factory:gpu_topology_policy'] = policy
    spec = objects.RequestSpec(
        instance_uuid=str(uuid.uuid4()), scheduler_hints={},
        num_instances=1, force_hosts=None, force_nodes=None,
        flavor=objects.Flavor(name=f'gpu.x{count}', extra_specs=extra_specs),
        numa_topology=objects.InstanceNUMATopology(cells=[
            objects.InstanceNUMACell(id=0)]) if numa else None,
        requested_resources=[],
        pci_requests=objects.InstancePCIRequests(requests=[
            objects.InstancePCIRequest(
                count=count, alias_name='gpu', request_id=str(uuid.uuid4()),
                spec=[{'vendor_id': '10de', 'product_id': '2330',
                       'dev_type': 'type-PCI',
                       'resource_class': RESOURCE_CLASS}])]))
    spec.generate_request_groups_from_pci_requests()
    return spec


class NovaTestCase(testtools.TestCase):
    """A scheduler's process: Nova's options, objects and placement client."""

    def setUp(self):
        super().setUp()
        objects.register_all()
        self.conf = self.useFixture(config_fixture.Config(CONF))
        conf.register_opts(CONF)
        self.conf.config(group='filter_scheduler', pci_in_placement=True)
        # Each host once, or what is said of hosts is said of copies too.
        self.conf.config(group='ai_factory', gpu_claim_attempts=1)
        self.log = self.useFixture(fixtures.FakeLogger(
            'ai_factory_plugins', format='%(levelname)s %(message)s'))
        self.move = None
        self.useFixture(fixtures.MonkeyPatch(
            'ai_factory_plugins.nova.moves.move_of',
            lambda spec_obj: self.move))
        self.placement = FakePlacement()
        self.useFixture(fixtures.MonkeyPatch(
            'nova.scheduler.client.report.report_client_singleton',
            lambda: self.placement))

    def host(self, name, gpus='hgx-h100', **kwargs):
        """A host whose free GPUs placement knows as well."""
        return Host(name, board(gpus), **kwargs)

    def sync(self, *hosts):
        """Tell placement what is free on the hosts."""
        self.placement.free = {RESOURCE_CLASS: {
            host.providers[gpu.address]
            for host in hosts for gpu in host.free}}
