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


"""What a whole request costs, from placement's candidates to the last filter.

Real placement (in process, SQLite) holds the hosts, all of them empty. Three
ways to schedule one server are compared:

* stock Nova and placement at their defaults;
* stock Nova, and placement with the settings of the installation guide;
* those settings and GPUTopologyFilter.

Times are CPU seconds of this process, placement's part included. Stock
placement at its defaults gives no answer for eight GPUs of one host in
minutes, so that it is left out unless ``--defaults`` asks for it. Run it
with::

    python -m benchmarks.scheduling.request_cost --hosts 100 --count 4 \\
        --defaults
"""

import argparse
import resource
import time
from unittest import mock

import nova.conf
from nova import objects
from nova.scheduler.filters import pci_passthrough_filter
from oslo_log import log as logging

from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import moves
from ai_factory_plugins.nova import run
from benchmarks.scheduling import filter_cost
from tests.unit.nova import base


class Placement(filter_cost.Placement):
    """Real placement with settings of one's own."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings

    def _configure_placement(self, conf_fixture):
        for group, options in self.settings.items():
            conf_fixture.config(group=group, **options)


def recommended(hosts):
    """The settings of the installation guide for so many hosts."""
    return {
        'placement': {
            'allocation_candidates_generation_strategy': 'breadth-first',
            'max_allocation_candidates': max(hosts, 100)},
        'workarounds': {'optimize_for_wide_provider_trees': True}}


def request(client, hosts, spec, chain, limit):
    """Schedule one server.

    :returns: CPU seconds of all, those of placement, the HostStates left
    """
    client.seconds = 0.0
    before = time.process_time()
    offered = filter_cost.offers(client, spec, limit)
    spent = time.process_time() - before
    left = filter_cost.states(hosts, spec, offered)
    before = time.process_time()
    for filter_ in chain:
        left = list(filter_.filter_all(left, spec))
    return spent + time.process_time() - before, client.seconds, left


def measure(hosts, counts, settings, chain, limit, repeat):
    """Schedule each size on a placement with the given settings.

    :returns: dict of count to (CPU seconds, of it placement, hosts left,
        hosts whose first set is joined)
    """
    fixture = Placement(settings)
    fixture.setUp()
    found = {}
    try:
        client = filter_cost.Client(fixture.endpoint)
        filter_cost.populate(client, hosts)
        by_name = {host.name: host for host in hosts}
        with mock.patch.object(
                run.report, 'report_client_singleton', lambda: client
        ), mock.patch.object(moves, 'move_of', lambda spec_obj: None):
            for count in counts:
                spec = base.request_spec(count)
                best = min((request(client, hosts, spec, chain, limit)
                            for _ in range(repeat)),
                           key=lambda item: item[0])
                joined = sum(
                    filter_cost.is_partition(
                        by_name[state.host], state.allocation_candidates[0])
                    for state in best[2])
                found[count] = (*best[:2], len(best[2]), joined)
    finally:
        fixture.cleanUp()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--hosts', type=int, default=100)
    parser.add_argument('--count', type=int, nargs='+', default=[4])
    parser.add_argument('--limit', type=int, default=1000,
                        help="Nova's [scheduler]max_placement_results")
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--defaults', action='store_true',
                        help="also with placement's defaults, once")
    args = parser.parse_args()
    logging.getLogger(None).logger.setLevel('WARNING')
    objects.register_all()
    filters.conf.register_opts(nova.conf.CONF)
    nova.conf.CONF.set_override(
        'pci_in_placement', True, 'filter_scheduler')
    stock = pci_passthrough_filter.PciPassthroughFilter()
    settings = recommended(args.hosts)
    rows = [('GPUTopologyFilter, recommended settings', settings,
             (filters.GPUTopologyFilter(), stock), args.repeat),
            ('stock, recommended settings', settings, (stock,), args.repeat)]
    if args.defaults:
        rows.append(('stock, default settings', {}, (stock,), 1))
    first = None
    print(f'{args.hosts} hosts x 8 GPUs, none in use')
    print(f'{"":42}{"GPUs":>5}{"CPU s":>9}{"placement":>11}{"ratio":>8}'
          f'{"hosts":>7}{"joined first":>14}')
    for name, conf, chain, repeat in rows:
        hosts = [base.Host(f'hgx{i}', base.board())
                 for i in range(args.hosts)]
        found = measure(hosts, args.count, conf, chain, args.limit, repeat)
        first = first or found
        for count, (seconds, inside, left, joined) in found.items():
            print(f'{name:42}{count:5}{seconds:9.3f}{inside:11.3f}'
                  f'{seconds / first[count][0]:8.1f}{left:7}{joined:14}',
                  flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'peak memory of the process: {peak:.0f} MiB')


if __name__ == '__main__':
    main()
