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

"""Ironic's own inspection in one process, on its test database."""

from ironic.common import driver_factory
from ironic.common import states
from ironic.conductor import inspection
from ironic.conductor import task_manager
from ironic.drivers.modules import inspect_utils
from ironic import objects
from ironic.tests.unit.db import base
from ironic.tests.unit.objects import utils

from ai_factory_plugins.conf import ironic as conf_ironic

INVENTORY = {
    'interfaces': [{'name': 'eno1', 'mac_address': '52:54:00:00:00:01',
                    'ipv4_address': '192.0.2.1', 'has_carrier': True}],
    'cpu': {'count': 96, 'architecture': 'x86_64'},
    'memory': {'physical_mb': 2 ** 21},
    'disks': [{'name': '/dev/sda', 'size': 2 ** 40}],
    'bmc_address': '192.0.2.2',
    'boot': {'current_boot_mode': 'uefi', 'pxe_interface': None},
}


class InspectionCase(base.DbTestCase):
    """Has ``inspect``, which runs what the conductor runs."""

    # Some drivers look for programs when they are loaded.
    block_execute = False

    def setUp(self):
        super().setUp()
        conf_ironic.register_opts(base.cfg.CONF)
        self.config(enabled_inspect_interfaces=['agent', 'fake', 'no-inspect'])
        self.config(
            group='inspector', require_managed_boot=False, power_off=False,
            hooks=base.cfg.CONF.inspector.default_hooks + ',gpu-inventory')
        self.config(group='inventory', data_backend='database')
        self.options()

    def options(self, **values):
        """Set options of the hook, and load it as a conductor's start does."""
        self.config(group='gpu_inventory', **values)
        for factory in driver_factory._INTERFACE_LOADERS.values():
            factory._extension_manager = None
        inspect_utils._HOOKS_MGR.clear()

    def node(self, **values):
        return utils.create_test_node(
            self.context, uuid=values.pop('uuid', utils.db_utils.uuidutils
                                          .generate_uuid()),
            inspect_interface='agent', driver='fake-hardware',
            provision_state=states.INSPECTING,
            target_provision_state=states.MANAGEABLE, **{
                'properties': {}, 'driver_internal_info': {}, **values})

    def inspect(self, node, plugin_data=None, **inventory):
        """Inspect a node with what a ramdisk has sent.

        :returns: names of the traits that it has then
        """
        fresh = objects.Node.get_by_id(self.context, node.id)
        fresh.provision_state = states.INSPECTING
        fresh.target_provision_state = states.MANAGEABLE
        fresh.save()
        with task_manager.acquire(
                self.context, node.id, shared=False) as task:
            inspection.continue_inspection(
                task, {**INVENTORY, **inventory}, dict(plugin_data or {}))
        return self.traits(node)

    def traits(self, node):
        return set(objects.TraitList.get_by_node_id(
            self.context, node.id).get_trait_names())

    def set_traits(self, node, *names):
        for name in names:
            objects.Trait(
                self.context, node_id=node.id, trait=name).create()

    def reread(self, node):
        return objects.Node.get_by_id(self.context, node.id)
