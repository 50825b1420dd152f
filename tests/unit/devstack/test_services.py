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

"""The services themselves understand the configuration files of DevStack."""

import json
import pathlib
import subprocess
import sys
import unittest

from tests.unit.devstack import base

_NOVA = """
import json, sys
import nova.conf
from nova.pci import request, whitelist
from nova.scheduler import filters, weights
CONF = nova.conf.CONF
CONF(sys.argv[1:], project='nova', default_config_files=[])
chosen = CONF.filter_scheduler
found = filters.HostFilterHandler().get_matching_classes(
    chosen.available_filters)
print(json.dumps({
    'missing': sorted(
        set(chosen.enabled_filters) - {item.__name__ for item in found}),
    'weighers': [item.__name__ for item in
                 weights.HostWeightHandler().get_matching_classes(
                     chosen.weight_classes)],
    'devices': len(whitelist.Whitelist(CONF.pci.device_spec).specs),
    'aliases': sorted(request.get_alias_from_config()),
    'driver': CONF.compute_driver,
    'host': CONF.host}))
"""
_PLACEMENT = """
import json, sys
from oslo_config import cfg
from placement import conf
CONF = cfg.ConfigOpts()
conf.register_opts(CONF)
CONF(sys.argv[1:], project='placement', default_config_files=[])
print(json.dumps([
    CONF.placement.allocation_candidates_generation_strategy,
    CONF.placement.max_allocation_candidates,
    CONF.placement.allocation_conflict_retry_count,
    CONF.workarounds.optimize_for_wide_provider_trees]))
"""
_IRONIC = """
import json, sys
from ironic.conf import CONF
from ironic.drivers.modules.inspector import agent
from ironic.drivers.modules.redfish import inspect
CONF(sys.argv[1:], project='ironic', default_config_files=[])
print(json.dumps([[hook.name for hook in interface().hooks] for interface in (
    agent.AgentInspect, inspect.RedfishInspect)]))
"""


class ServicesTest(unittest.TestCase):

    def ask(self, program, *paths):
        """What a service says of configuration files below ``golden/``."""
        arguments = [f'--config-file={base.GOLDEN / path}' for path in paths]
        found = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program, *arguments],
            capture_output=True, text=True, timeout=120,
            cwd=pathlib.Path(base.PROJECT))
        self.assertEqual(0, found.returncode, found.stderr)
        return json.loads(found.stdout.splitlines()[-1])

    def test_nova(self):
        found = self.ask(_NOVA, 'nova/nova.conf')
        self.assertEqual([], found['missing'])
        for name in ('GPUTopologyWeigher', 'FabricLocalityWeigher',
                     'RAMWeigher'):
            self.assertIn(name, found['weighers'])
        self.assertEqual(['h100-sxm5-80gb'], found['aliases'])
        self.assertEqual(0, found['devices'])

    def test_computes(self):
        found = self.ask(
            _NOVA, 'nova/nova-cpu.conf', 'nova/ai-factory-fake-1.conf')
        self.assertEqual(
            ('ai_factory_boards.BoardDriver', 'host1', 8,
             ['h100-sxm5-80gb']),
            (found['driver'], found['host'], found['devices'],
             found['aliases']))
        found = self.ask(_NOVA, 'nova-host/nova-cpu.conf')
        self.assertEqual(('libvirt.LibvirtDriver', 4),
                         (found['driver'], found['devices']))

    def test_placement(self):
        self.assertEqual(['breadth-first', 100, 1, True],
                         self.ask(_PLACEMENT, 'nova/placement.conf'))

    def test_ironic(self):
        agent, redfish = self.ask(_IRONIC, 'ironic/ironic.conf')
        self.assertEqual(['cpus', 'memory', 'gpu-inventory'], agent[-3:])
        self.assertEqual('gpu-inventory', redfish[-1])
