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


"""Options of the Nova scheduler plugins."""

from oslo_config import cfg

GROUP = cfg.OptGroup('ai_factory', title='AI factory scheduling')

OPTS = [
    cfg.FloatOpt(
        'gpu_topology_weight_multiplier',
        default=100.0,
        help="""
Multiplier of GPUTopologyWeigher, which prefers the host where a request for
GPUs breaks the fewest larger sets of joined GPUs.

The default is well above Nova's own multipliers (1.0), so that packing GPUs
goes before spreading CPU and memory, and well below
``[filter_scheduler]build_failure_weight_multiplier``, so that a host that
fails is still avoided. 0 switches the weigher off, a negative value spreads.
An aggregate can override it with metadata of the same name.
"""),
    cfg.IntOpt(
        'gpu_candidates_per_host',
        default=16, min=1, max=1000,
        help="""
How many sets of GPUs GPUTopologyFilter offers for a host to the filters after
it, best first, if the server has a guest NUMA topology.

NUMATopologyFilter and PciPassthroughFilter try them one by one, so a higher
number finds a fit on more hosts and takes more time. Servers without a guest
NUMA topology are offered the best set alone.
"""),
    cfg.IntOpt(
        'gpu_claim_attempts',
        default=4, min=1, max=100,
        help="""
How many sets of GPUs nova-scheduler tries to claim for a server before it
gives up.

Nova tries one set a host. If fewer hosts than this have room, requests that
arrive together would lose the race for the same GPUs and fail, although there
are others left. GPUTopologyFilter then offers such hosts several times, each
time with another set. 1 leaves it to Nova.
"""),
    cfg.IntOpt(
        'gpu_explained_hosts',
        default=3, min=0, max=1000,
        help="""
How many hosts GPUTopologyFilter names for each reason in its line at INFO.

At DEBUG it tells what became of each host.
"""),
    cfg.BoolOpt(
        'gpu_topology_allow_moves',
        default=False,
        help="""
Whether GPUTopologyFilter lets servers move whose flavor requires a topology.

Nova gives a server that is migrated, resized or evacuated other devices than
the scheduler chose, so that its GPUs may not be joined, and GPUs stay claimed
that no server has. Servers are therefore kept from such moves; shelving and
unshelving one moves it rightly. If this is set, they are let through with a
warning, and ``ai-factory-status servers`` shows what became of them. Flavors
that only prefer a topology are let through in any case.
"""),
    cfg.StrOpt(
        'gpu_degraded_partitions',
        default='last',
        choices=[
            ('last', 'they are used when no whole ones are left'),
            ('refuse', 'they do not count as joined')],
        help="""
What becomes of partitions of GPUs that lack NVLinks.

The inventory marks a partition as degraded if Fabric Manager reports fewer
NVLinks than the most that a GPU of it can have.
"""),
    cfg.ListOpt(
        'fabric_levels',
        default=['block', 'leaf', 'clique'],
        help="""
Names of the levels of the fabric between hosts, coarsest first, at most 8.

They are the values of the flavor extra spec ``ai_factory:fabric_locality``,
and say what the names in ``ai_factory:fabric_path`` of an aggregate stand
for: with the default, ``spine1/leaf3/rack7`` is the NVLink clique rack7
below the leaf switch leaf3 of the spine block spine1. To change the list
changes what the extra specs and paths that are in use mean.
"""),
    cfg.FloatOpt(
        'fabric_locality_weight_multiplier',
        default=1000.0,
        help="""
Multiplier of FabricLocalityWeigher, which prefers hosts near the other
members of a job, and blocks of the fabric that the job fills.

The weight halves from one place to the next, so that the default sets the
best place 500 or more apart from the second, above what GPUTopologyWeigher
can add with its default of 100. It is well below
``[filter_scheduler]build_failure_weight_multiplier``. 0 switches the weigher
off, a negative value spreads. An aggregate can override it with metadata of
the same name.
"""),
]


def register_opts(conf):
    """Register the options; to do so twice does no harm."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    """The options, for the sample generator."""
    return [(GROUP, OPTS)]
