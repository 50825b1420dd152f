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


import dataclasses
import json

import fixtures
from nova.pci import request as pci_request
from oslo_upgradecheck import upgradecheck

from ai_factory_plugins.inventory import nova_conf
from ai_factory_plugins.nova import checks
from ai_factory_plugins.nova import inventory
from ai_factory_plugins.topology import traits
from tests.unit.nova import base

Code = upgradecheck.Code


class ChecksTest(base.NovaTestCase):

    def setUp(self):
        super().setUp()
        self.set(
            enabled_filters=['ComputeFilter', 'GPUTopologyFilter',
                             'NUMATopologyFilter', 'PciPassthroughFilter',
                             'FabricLocalityFilter'],
            available_filters=['nova.scheduler.filters.all_filters',
                               'ai_factory_plugins.nova.all_filters'],
            weight_classes=['nova.scheduler.weights.all_weighers',
                            'ai_factory_plugins.nova.all_weighers'])
        self.alias = {**nova_conf.aliases(base.board())[0]}
        self.set_aliases(json.dumps(self.alias))
        self.addCleanup(self.set_aliases)
        self.path = self.useFixture(fixtures.TempDir()).join('p.conf')
        self.write(max_allocation_candidates=100,
                   allocation_conflict_retry_count=1,
                   allocation_candidates_generation_strategy='breadth-first')
        self.facts = checks.Facts(
            checks.read_placement_conf(self.path),
            [self.node('hgx1'), self.node('hgx2')], {})
        for name in ('hgx1', 'hgx2'):
            for device in base.board().devices():
                provider = inventory.Provider(
                    f'{name}{device.key}', f'{name}_{device.key.upper()}',
                    name)
                self.facts.providers[provider] = {base.RESOURCE_CLASS}
                self.facts.traits[provider.uuid] = set(traits.encode(device))

    def set_aliases(self, *aliases):
        self.conf.config(group='pci', alias=list(aliases))
        # Some series of Nova remember what they have read.
        getattr(pci_request.get_alias_from_config, 'cache_clear', list)()

    def set(self, **options):
        self.conf.config(group='filter_scheduler', **options)

    def write(self, wide='True', **options):
        with open(self.path, 'w') as conf:
            conf.write('[placement]\n' + ''.join(
                f'{name} = {value}\n' for name, value in options.items()))
            conf.write('[workarounds]\n'
                       f'optimize_for_wide_provider_trees = {wide}\n')

    def node(self, name, **kwargs):
        host = self.host(name, **kwargs)
        state = host.state(base.request_spec(1))
        return inventory.Node(name, [dict(pool) for pool
                                     in state.pci_stats.pools], [])

    def assertFinds(self, check, code, text=None):  # noqa: N802
        result = check(self.facts)
        self.assertEqual(code, result.code, result.details)
        if text is not None:
            self.assertIn(text, result.details)

    def test_all_is_well(self):
        for _, (_, kwargs) in checks.Checks._upgrade_checks:
            self.assertFinds(kwargs['check'], Code.SUCCESS)
        self.assertEqual(Code.SUCCESS, checks.Checks(self.facts).check())

    def test_plugins(self):
        self.set(weight_classes=['ai_factory_plugins.nova.all_weighers'])
        self.assertFinds(checks.plugins, Code.WARNING,
                         'lacks nova.scheduler.weights.all_weighers')
        self.set(weight_classes=['nova.scheduler.weights.all_weighers'])
        self.assertFinds(checks.plugins, Code.FAILURE,
                         'weight_classes does not have ai_factory')
        self.set(available_filters=['nova.scheduler.filters.all_filters'])
        self.assertFinds(checks.plugins, Code.FAILURE,
                         'available_filters does not have ai_factory')

    def test_order_of_filters(self):
        for filters, code, text in (
                (['NUMATopologyFilter', 'PciPassthroughFilter'],
                 Code.FAILURE, 'does not have GPUTopologyFilter'),
                (['NUMATopologyFilter', 'GPUTopologyFilter',
                  'PciPassthroughFilter'],
                 Code.FAILURE, 'NUMATopologyFilter has to stand after'),
                (['GPUTopologyFilter', 'NUMATopologyFilter'],
                 Code.FAILURE, 'does not have PciPassthroughFilter'),
                (['FabricLocalityFilter', 'GPUTopologyFilter',
                  'NUMATopologyFilter', 'PciPassthroughFilter'],
                 Code.WARNING, 'FabricLocalityFilter should stand last')):
            self.set(enabled_filters=filters)
            self.assertFinds(checks.filter_order, code, text)

    def test_pci_in_placement(self):
        self.set(pci_in_placement=False)
        self.assertFinds(checks.pci_in_placement, Code.FAILURE)

    def test_settings_of_placement(self):
        self.write(wide='False')
        self.facts.placement_conf = checks.read_placement_conf(self.path)
        for text in ('not breadth-first', 'max_allocation_candidates is not',
                     'optimize_for_wide_provider_trees is off',
                     'two servers can be given one GPU'):
            self.assertFinds(checks.placement_settings, Code.WARNING, text)
        self.write(max_allocation_candidates=1)
        self.facts.placement_conf = checks.read_placement_conf(self.path)
        self.assertFinds(checks.placement_settings, Code.WARNING,
                         'is 1, for 2 hosts')
        self.facts.placement_conf = 'no such file'
        self.assertFinds(checks.placement_settings, Code.WARNING,
                         'not looked at: no such file')

    def test_number_of_candidates(self):
        self.conf.config(group='scheduler', max_placement_results=1)
        self.assertFinds(checks.candidate_limit, Code.WARNING,
                         'is 1, for 2 hosts')

    def test_aliases(self):
        other = {**self.alias, 'name': 'other'}
        self.set_aliases(json.dumps(self.alias), json.dumps(other))
        self.assertFinds(checks.aliases, Code.WARNING,
                         'h100-sxm5-80gb, other are aliases of the same')
        self.set_aliases(json.dumps(
            {**self.alias, 'resource_class': 'CUSTOM_TYPO'}))
        self.assertFinds(checks.aliases, Code.WARNING,
                         'no host has CUSTOM_TYPO')
        self.set_aliases('{"name": "x"')
        self.assertFinds(checks.aliases, Code.FAILURE)
        self.set_aliases()
        self.assertFinds(checks.aliases, Code.WARNING, 'is not set')

    def test_tags(self):
        self.facts.nodes.append(self.node('silent', tags=False))
        self.assertFinds(checks.tags, Code.WARNING, 'pcie: silent')
        self.facts.nodes[0].pools[3]['ai_factory_gpu'] = 'v9'
        self.assertFinds(checks.tags, Code.FAILURE, "version 'v9'")
        self.facts.nodes = 'no database'
        self.assertFinds(checks.tags, Code.WARNING, 'no database')

    def test_traits(self):
        self.facts.traits = {}
        self.assertFinds(checks.provider_traits, Code.WARNING, 'hgx1, hgx2')

    def test_what_is_not_known_is_a_warning(self):
        facts = dataclasses.replace(
            self.facts, nodes='down', providers='down', placement_conf='down')
        self.assertEqual(Code.WARNING, checks.Checks(facts).check())
