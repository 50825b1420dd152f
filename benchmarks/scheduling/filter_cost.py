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


"""What GPUTopologyFilter costs the scheduler, beside stock Nova.

Real placement (in process, SQLite) holds the hosts, whose boards are empty
but for what ``--used`` takes; it answers the query that nova-scheduler sends
for a flavor with ``count`` GPUs. On the HostStates that come of it, the same
in both cases, run:

* stock: PciPassthroughFilter alone, on all candidates of placement;
* ours: GPUTopologyFilter with its query to placement, and
  PciPassthroughFilter on what it leaves.

Times are CPU seconds of this process, the median of several runs; placement
runs in this process too, so the time of ours includes what placement spends
on the filter's query, and the row below says how much that is. Run it with::

    python -m benchmarks.scheduling.filter_cost --hosts 100 --count 4
"""

import argparse
import random
import statistics
import time
from unittest import mock
from urllib import parse

import nova.conf
from nova import objects
from nova.scheduler.filters import pci_passthrough_filter
from oslo_log import log as logging
from placement.tests.functional.fixtures import placement as placement_fixture
import requests

from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import moves
from ai_factory_plugins.nova import run
from tests.unit.nova import base

RECOMMENDED = {
    'placement': {
        'allocation_candidates_generation_strategy': 'breadth-first',
        'max_allocation_candidates': 1000},
    'workarounds': {'optimize_for_wide_provider_trees': True},
}


class Placement(placement_fixture.PlacementFixture):
    """Real placement with the settings that the guide recommends."""

    def _configure_placement(self, conf_fixture):
        for group, options in RECOMMENDED.items():
            conf_fixture.config(group=group, **options)


class Client:
    """What nova's report client offers, without keystone."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.session = requests.Session()
        self.seconds = 0.0

    def request(self, method, path, json=None, version='1.39'):
        before = time.process_time()
        response = self.session.request(
            method, self.endpoint + path, json=json, headers={
                'x-auth-token': 'admin', 'accept': 'application/json',
                'openstack-api-version': f'placement {version}'})
        self.seconds += time.process_time() - before
        if response.status_code >= 300:
            raise RuntimeError(f'{method} {path}: {response.text}')
        return response

    def get(self, path, version=None, global_request_id=None):
        return self.request('GET', path, version=version)

    def add(self, name, uuid, inventories, parent=None):
        self.request('POST', '/resource_providers', {
            'name': name, 'uuid': uuid, 'parent_provider_uuid': parent})
        self.request('PUT', f'/resource_providers/{uuid}/inventories', {
            'resource_provider_generation': 0, 'inventories': {
                name: {'total': total} for name, total in inventories.items()
            }})


def populate(client, hosts):
    """Put hosts and their free GPUs into placement."""
    client.request('PUT', f'/resource_classes/{base.RESOURCE_CLASS}')
    for host in hosts:
        client.add(host.name, host.root,
                   {'VCPU': 96, 'MEMORY_MB': 1048576, 'DISK_GB': 4096})
        for gpu in host.free:
            client.add(f'{host.name}_{gpu.address.upper()}',
                       host.providers[gpu.address],
                       {base.RESOURCE_CLASS: 1}, parent=host.root)


def offers(client, spec, limit):
    """The allocation candidates of a request, by host."""
    query = [('resources', 'VCPU:4,MEMORY_MB:1024'), ('limit', limit),
             ('group_policy', 'none')]
    for group in spec.requested_resources:
        query.append((f'resources{group.requester_id}',
                      f'{base.RESOURCE_CLASS}:1'))
    body = client.get('/allocation_candidates?' + parse.urlencode(query),
                      version='1.36').json()
    found = {}
    for offer in body['allocation_requests']:
        root, = offer['mappings']['']
        found.setdefault(root, []).append(offer)
    return found


def states(hosts, spec, offered):
    """HostStates as the scheduler has them before its filters."""
    found = []
    for host in hosts:
        if host.root in offered:
            state = host.state(spec, offers=0)
            state.allocation_candidates = offered[host.root]
            found.append(state)
    return found


def measure(client, hosts, count, limit, repeat):
    """Print the table for one flavor."""
    spec = base.request_spec(count)
    client.seconds = 0.0
    offered = offers(client, spec, limit)
    print(f'{len(hosts)} hosts x 8 GPUs, {count} GPUs asked for: placement '
          f'offers {sum(map(len, offered.values()))} candidates on '
          f'{len(offered)} hosts in {client.seconds:.3f} s')
    stock = pci_passthrough_filter.PciPassthroughFilter()
    ours = filters.GPUTopologyFilter()
    rows = []
    for name, chain in (
            ('stock PciPassthroughFilter', (stock,)),
            ('GPUTopologyFilter', (ours,)),
            ('GPUTopologyFilter + PciPassthroughFilter', (ours, stock))):
        times = []
        for _ in range(repeat):
            left = states(hosts, spec, offered)
            client.seconds = 0.0
            before = time.process_time()
            for filter_ in chain:
                left = list(filter_.filter_all(left, spec))
            times.append((time.process_time() - before, client.seconds))
        rows.append((name, *map(statistics.median, zip(*times)), left))
    report(hosts, rows)


def report(hosts, rows):
    """Print what was measured, and how often the first set is joined."""
    by_name = {host.name: host for host in hosts}
    print(f'{"":42}{"CPU s":>8}{"of it placement":>17}'
          f'{"ratio to stock":>16}{"hosts":>7}{"joined first":>14}')
    for name, seconds, inside, passed in rows:
        joined = sum(
            is_partition(by_name[state.host], state.allocation_candidates[0])
            for state in passed)
        print(f'{name:42}{seconds:8.3f}{inside:17.3f}'
              f'{seconds / rows[0][1]:16.2f}{len(passed):7}'
              f'{joined:14}')


def is_partition(host, candidate):
    """Whether the GPUs of a candidate are a partition of their board."""
    modules = set(host.modules_of(candidate))
    return any(
        {host.board.by_address[a].module_id for a in partition.members}
        == modules for partition in host.board.partitions)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0])
    parser.add_argument('--hosts', type=int, default=100)
    parser.add_argument('--count', type=int, nargs='+', default=[4])
    parser.add_argument('--limit', type=int, default=1000,
                        help="Nova's [scheduler]max_placement_results")
    parser.add_argument('--used', type=float, default=0.0,
                        help='share of the GPUs that is in use')
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    logging.getLogger(None).logger.setLevel('WARNING')
    objects.register_all()
    filters.conf.register_opts(nova.conf.CONF)
    nova.conf.CONF.set_override(
        'pci_in_placement', True, 'filter_scheduler')
    rng = random.Random(args.seed)
    hosts = [base.Host(f'hgx{i}', base.board()) for i in range(args.hosts)]
    for host in hosts:
        host.use(*(module for module in host.modules
                   if rng.random() < args.used))
    fixture = Placement()
    fixture.setUp()
    try:
        client = Client(fixture.endpoint)
        populate(client, hosts)
        # There is no Nova database here to look servers up in.
        with mock.patch.object(
                run.report, 'report_client_singleton', lambda: client
        ), mock.patch.object(moves, 'move_of', lambda spec_obj: None):
            for count in args.count:
                measure(client, hosts, count, args.limit, args.repeat)
    finally:
        fixture.cleanUp()


if __name__ == '__main__':
    main()
