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

"""Ironic's inspection by Redfish, of machines whose BMC is emulated."""

import contextlib
import dataclasses
import functools
import hashlib
import types

import fixtures
from ironic.common import states
from ironic.conductor import inspection
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers.modules.redfish import inspect as redfish_inspect
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic import objects
from ironic.tests.unit.objects import utils

from ai_factory_plugins.testing import machines
from ai_factory_plugins.testing import redfish
from tests.inspection import base

UUID = '5f0a7d0e-6a5b-4b8e-9a55-3f1b6f0c0001'
#: Whether Ironic asks the BMC for PCI devices.
HAS_PCI = hasattr(redfish_inspect.RedfishInspect, '_get_pcie_devices')
NIC = {'VendorId': '0x15B3', 'DeviceId': '0x1021',
       'DeviceClass': 'NetworkController', 'ClassCode': '0x020700'}
NVSWITCH = {'VendorId': '0x10DE', 'DeviceId': '0x22A3',
            'DeviceClass': 'Bridge', 'ClassCode': '0x068000'}

# Ironic takes 600,000 rounds for a key, for each request for a system.
_HASHLIB = types.SimpleNamespace(
    pbkdf2_hmac=functools.lru_cache(hashlib.pbkdf2_hmac))


def gpus(device='0x2330', count=8, vendor='0x10DE', accelerator=False):
    """PCI functions as BMCs list them."""
    return {'VendorId': vendor, 'DeviceId': device, 'count': count,
            'DeviceClass': ('ProcessingAccelerators' if accelerator
                            else 'DisplayController'),
            'ClassCode': '0x120000' if accelerator else '0x030200',
            'SubsystemVendorId': vendor, 'SubsystemId': '0x16C1',
            'RevisionId': '0xA1'}


def processors(model='NVIDIA B200', count=8, mib=183359, **properties):
    """GPUs as BMCs list them among the Processors."""
    return {'count': count, 'Manufacturer': 'NVIDIA', 'Model': model,
            'MemorySummary': {'TotalMemorySizeMiB': mib}, **properties}


class RedfishCase(base.InspectionCase):
    """Has ``inspect``, which runs what the conductor runs."""

    def setUp(self):
        super().setUp()
        if 'inspection_hooks' not in CONF.redfish:
            self.skipTest('This Ironic runs no hooks when it inspects by '
                          'Redfish: it has no [redfish]inspection_hooks')
        self.config(
            enabled_hardware_types=['redfish'],
            enabled_power_interfaces=['redfish'],
            enabled_management_interfaces=['redfish'],
            enabled_inspect_interfaces=['redfish'],
            enabled_bios_interfaces=['no-bios'],
            enabled_raid_interfaces=['no-raid'],
            enabled_vendor_interfaces=['no-vendor'],
            enabled_firmware_interfaces=['no-firmware'],
            enabled_boot_interfaces=['redfish-virtual-media'])
        self.config(
            group='redfish', auth_type='basic', connection_attempts=1,
            inspection_hooks=(
                CONF.redfish.default_inspection_hooks + ',gpu-inventory'))
        self.options()
        self.machine = machines.Machine(
            UUID, 'hgx-1', macs=('52:54:00:00:00:01',))
        stack = self.useFixture(_Stack())
        self.bmc, self.url = stack.enter(redfish.serve([self.machine]))
        # No waiting for a BMC that has said no, and no old connections.
        self.useFixture(fixtures.MonkeyPatch(
            'sushy.connector.time',
            types.SimpleNamespace(sleep=lambda seconds: None)))
        redfish_utils.SessionCache._sessions.clear()
        if hasattr(redfish_utils, 'hashlib'):
            self.useFixture(fixtures.MonkeyPatch(
                'ironic.drivers.modules.redfish.utils.hashlib', _HASHLIB))

    def build(self, *functions, gpus=(), **changes):
        """Change the machine's hardware.

        :param functions: PCI functions; none for a BMC that does not tell
        :param gpus: GPUs among the Processors
        :param changes: other fields of the machine
        """
        self.machine = dataclasses.replace(
            self.machine, functions=functions or None, gpus=tuple(gpus),
            **{'answers': {}, **changes})
        self.bmc.replace(self.machine)

    def node(self, **values):
        return utils.create_test_node(
            self.context, driver='redfish', inspect_interface='redfish',
            power_interface='redfish', management_interface='redfish',
            uuid=utils.db_utils.uuidutils.generate_uuid(),
            boot_interface='redfish-virtual-media', bios_interface='no-bios',
            raid_interface='no-raid', vendor_interface='no-vendor',
            firmware_interface='no-firmware',
            driver_info={'redfish_address': self.url,
                         'redfish_system_id': self.machine.path,
                         'redfish_username': 'admin',
                         'redfish_password': 'secret'},
            **{'properties': {}, 'driver_internal_info': {}, **values})

    def inspect(self, node):
        """Inspect a node.

        :returns: names of the traits that it has then
        """
        fresh = self.reread(node)
        fresh.provision_state = states.INSPECTING
        fresh.target_provision_state = states.MANAGEABLE
        fresh.save()
        with task_manager.acquire(
                self.context, node.id, shared=False) as task:
            inspection.inspect_hardware(task)
        self.assertEqual(
            states.MANAGEABLE, self.reread(node).provision_state)
        return self.traits(node)

    def macs(self, node):
        return {port.address for port in
                objects.Port.list_by_node_id(self.context, node.id)}


class PCICase(RedfishCase):
    """For what Ironic's list of PCI devices is needed for."""

    def setUp(self):
        super().setUp()
        if not HAS_PCI:
            self.skipTest('This Ironic does not ask the BMC for PCI devices '
                          'when it inspects by Redfish')


class _Stack(fixtures.Fixture):

    def _setUp(self):
        self._stack = contextlib.ExitStack()
        self.addCleanup(self._stack.close)

    def enter(self, context):
        return self._stack.enter_context(context)
