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


"""What can be wrong with a cloud before the first server finds out.

Each check is a function of a :class:`Facts`, and returns an
oslo.upgradecheck Result.
"""

import collections
import dataclasses

import nova.conf
from nova import exception
from nova.pci import request as pci_request
from nova.pci import utils as pci_utils
from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from ai_factory_plugins.topology import traits
from ai_factory_plugins.topology import wire

CONF = nova.conf.CONF
FILTER = 'GPUTopologyFilter'
LATER = ('NUMATopologyFilter', 'PciPassthroughFilter')
ALL_FILTERS = 'ai_factory_plugins.nova.all_filters'
ALL_WEIGHERS = 'ai_factory_plugins.nova.all_weighers'
NOVAS_WEIGHERS = 'nova.scheduler.weights.all_weighers'
MAX_NAMES = 10

_PLACEMENT_OPTS = {
    'placement': [
        cfg.IntOpt('max_allocation_candidates', default=-1),
        cfg.StrOpt('allocation_candidates_generation_strategy',
                   default='depth-first'),
        cfg.IntOpt('allocation_conflict_retry_count', default=10)],
    'workarounds': [
        cfg.BoolOpt('optimize_for_wide_provider_trees', default=False)],
}


@dataclasses.dataclass
class Facts:
    """What the checks go by.

    :param placement_conf: placement's configuration, or the text of why there
        is none
    :param nodes: list of :class:`~ai_factory_plugins.nova.inventory.Node`, or
        the text of why they are not known
    :param providers: dict of
        :class:`~ai_factory_plugins.nova.inventory.Provider` to the set of its
        resource classes, or the text of why they are not known
    :param traits: dict of provider uuid to set of trait names
    """

    placement_conf: object
    nodes: object
    providers: object
    traits: dict = dataclasses.field(default_factory=dict)

    @property
    def hosts(self):
        """How many hosts have PCI devices in placement; 0 if not known."""
        if isinstance(self.providers, str):
            return 0
        return len({provider.root for provider in self.providers})


def read_placement_conf(path):
    """Read those options of placement.conf that matter here.

    :param path: where the file is
    :returns: an oslo.config ConfigOpts
    :raises oslo_config.cfg.Error: it cannot be read
    """
    conf = cfg.ConfigOpts()
    for group, opts in _PLACEMENT_OPTS.items():
        conf.register_opts(opts, group=group)
    conf([], default_config_files=[path])
    return conf


def plugins(facts):
    """The plugins are there, and Nova's own are not gone."""
    options = CONF.filter_scheduler
    problems = []
    if not _named(options.available_filters, ALL_FILTERS, FILTER):
        problems.append(
            f'available_filters does not have {ALL_FILTERS}')
    if not _named(options.weight_classes, ALL_WEIGHERS, 'GPUTopologyWeigher'):
        problems.append(f'weight_classes does not have {ALL_WEIGHERS}')
    if problems:
        return _failure('[filter_scheduler]' + '; '.join(problems))
    if NOVAS_WEIGHERS not in options.weight_classes:
        return _warning(
            f'[filter_scheduler]weight_classes lacks {NOVAS_WEIGHERS}, so '
            'that Nova spreads no load and avoids no host that fails. The '
            'option is one list: of two lines only the last counts')
    return _success()


def filter_order(facts):
    """Nova's filters have the last word on our candidates."""
    enabled = CONF.filter_scheduler.enabled_filters
    if FILTER not in enabled:
        return _failure(f'[filter_scheduler]enabled_filters does not have '
                        f'{FILTER}')
    for name in LATER:
        if name not in enabled:
            return _failure(
                f'[filter_scheduler]enabled_filters does not have {name}, '
                f'which has to stand after {FILTER}')
        if enabled.index(name) < enabled.index(FILTER):
            return _failure(
                f'[filter_scheduler]enabled_filters: {name} has to stand '
                f'after {FILTER}, or servers fail on their hosts')
    if 'FabricLocalityFilter' in enabled[:-1]:
        return _warning(
            '[filter_scheduler]enabled_filters: FabricLocalityFilter should '
            'stand last, since it counts the hosts that the others leave')
    return _success()


def pci_in_placement(facts):
    """Nova asks placement for PCI devices."""
    if CONF.filter_scheduler.pci_in_placement:
        return _success()
    return _failure('[filter_scheduler]pci_in_placement is off; every flavor '
                    'with ai_factory:gpu_topology is refused')


def placement_settings(facts):
    """Placement offers candidates of all hosts, in time, and once."""
    conf = facts.placement_conf
    if isinstance(conf, str):
        return _warning(f'not looked at: {conf}')
    problems = []
    strategy = conf.placement.allocation_candidates_generation_strategy
    if strategy != 'breadth-first':
        problems.append(
            'allocation_candidates_generation_strategy is not breadth-first: '
            'the candidates may be of a few hosts only')
    limit = conf.placement.max_allocation_candidates
    if limit < 0:
        problems.append('max_allocation_candidates is not set: a request for '
                        '8 GPUs may get no answer')
    elif limit < facts.hosts:
        problems.append(f'max_allocation_candidates is {limit}, for '
                        f'{facts.hosts} hosts with PCI devices')
    if not conf.workarounds.optimize_for_wide_provider_trees:
        problems.append(
            '[workarounds]optimize_for_wide_provider_trees is off')
    if conf.placement.allocation_conflict_retry_count > 1:
        problems.append(
            'allocation_conflict_retry_count is more than 1: two servers can '
            'be given one GPU at the same time')
    return _warning('; '.join(problems)) if problems else _success()


def candidate_limit(facts):
    """Nova asks for as many candidates as there are hosts."""
    limit = CONF.scheduler.max_placement_results
    if limit < facts.hosts:
        return _warning(
            f'[scheduler]max_placement_results is {limit}, for {facts.hosts} '
            'hosts with PCI devices: the others are not looked at')
    return _success()


def aliases(facts):
    """Each alias is of one kind of device, and there are some of it."""
    try:
        found = pci_request.get_alias_from_config()
    except exception.PciInvalidAlias as exc:
        return _failure(str(exc))
    if not found:
        return _warning('[pci]alias is not set here; flavors cannot ask for '
                        'GPUs unless it is set for nova-api')
    problems = []
    kinds = collections.defaultdict(set)
    for name, (_, specs) in found.items():
        for spec in specs:
            kinds[_kind(spec)].add(name)
    problems.extend(
        f'{", ".join(sorted(names))} are aliases of the same devices: a '
        'flavor with both has its GPUs joined only all together'
        for names in kinds.values() if len(names) > 1)
    if not isinstance(facts.providers, str):
        known = set().union(*facts.providers.values())
        problems.extend(
            f'{name}: no host has {spec["resource_class"]}'
            for name, (_, specs) in found.items() for spec in specs
            if spec.get('resource_class', '').upper() not in known
            and 'resource_class' in spec)
    return _warning('; '.join(problems)) if problems else _success()


def tags(facts):
    """The free devices of each alias tell what they are joined to."""
    if isinstance(facts.nodes, str):
        return _warning(f'not looked at: {facts.nodes}')
    try:
        specs = [
            {key: value for key, value in spec.items()
             if key not in ('resource_class', 'traits')}
            for _, found in pci_request.get_alias_from_config().values()
            for spec in found]
    except exception.PciInvalidAlias as exc:
        return _warning(f'not looked at: {exc}')
    without, wrong = [], []
    for node in facts.nodes:
        pools = [pool for pool in node.pools
                 if wire.NIC_TAG_KEY not in pool
                 and pci_utils.pci_device_prop_match(pool, specs)]
        problem = next(filter(None, map(_bad_tag, pools)), None)
        if problem is not None:
            wrong.append(f'{node.name}: {problem}')
        elif any(wire.TAG_KEY not in pool for pool in pools):
            without.append(node.name)
    if wrong:
        return _failure('the tags of these hosts cannot be used: '
                        + _some(wrong, '; '))
    if without:
        return _warning(
            'devices without tags, which no flavor gets that requires nvlink '
            'or pcie: ' + _some(without))
    return _success()


def provider_traits(facts):
    """The devices in use tell what they are joined to."""
    if isinstance(facts.providers, str):
        return _warning(f'not looked at: {facts.providers}')
    telling = {node for provider in facts.providers
               if facts.traits.get(provider.uuid)
               for node in [provider.node]}
    if not isinstance(facts.nodes, str):
        lacking = sorted(
            node.name for node in facts.nodes
            if node.name not in telling and any(
                _joined(pool) for pool in node.pools))
        if lacking:
            return _warning(
                f'tags, but no traits {" or ".join(traits.PREFIXES)}..., so '
                'that "ai-factory-status servers" cannot judge the servers '
                'of: ' + _some(lacking))
    return _success()


class Checks(upgradecheck.UpgradeCommands):
    """``ai-factory-status upgrade check``.

    :param facts: a :class:`Facts`
    """

    _upgrade_checks = tuple(
        (name, (lambda self, check: check(self.facts), {'check': check}))
        for name, check in (
            ('Scheduler plugins', plugins),
            ('Order of filters', filter_order),
            ('PCI devices in placement', pci_in_placement),
            ('Settings of placement', placement_settings),
            ('Number of candidates', candidate_limit),
            ('Aliases', aliases),
            ('Topology tags', tags),
            ('Topology traits', provider_traits)))

    def __init__(self, facts):
        self.facts = facts


def _named(paths, function, name):
    return any(path == function or path.endswith(f'.{name}')
               for path in paths)


def _kind(spec):
    return spec.get('resource_class', '').upper() or (
        spec.get('vendor_id'), spec.get('product_id'))


def _bad_tag(pool):
    try:
        if wire.TAG_KEY in pool:
            wire.decode(pool[wire.TAG_KEY], pool.get('address'))
    except wire.WireError as exc:
        return f'{pool.get("address")}: {exc}'


def _joined(pool):
    """Whether the tag of a pool tells of anything that traits tell as well."""
    try:
        device = wire.decode(pool.get(wire.TAG_KEY), pool.get('address'))
    except wire.WireError:
        return False
    return bool(traits.encode(device))


def _some(names, separator=', '):
    text = separator.join(names[:MAX_NAMES])
    rest = len(names) - MAX_NAMES
    return text if rest < 1 else f'{text} and {rest} more'


def _success():
    return upgradecheck.Result(upgradecheck.Code.SUCCESS)


def _warning(details):
    return upgradecheck.Result(upgradecheck.Code.WARNING, details)


def _failure(details):
    return upgradecheck.Result(upgradecheck.Code.FAILURE, details)
