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

"""What a machine's ramdisk does when the machine is inspected.

Run as ``python -m ai_factory_plugins.testing.ramdisk SYSFS MAC URL``. It is
the inspection of ironic-python-agent itself, with its collectors and ours, on
a machine that is not there: PCI devices come from a sysfs tree such as
:mod:`ai_factory_plugins.testing.boards` writes, the rest is made up.
"""

import builtins
import os
import pathlib
import sys

# It registers the options that the others need.
from ironic_python_agent import config  # noqa: F401
from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import inspector
from oslo_config import cfg
from oslo_log import log

from ai_factory_plugins.ramdisk import collector

COLLECTORS = 'default,pci-devices,gpu-topology'
CPUS = 96
MEMORY_MB = 2 ** 21
DISK_GB = 2 ** 12


class Machine(hardware.GenericHardwareManager):
    """What the agent learns of a machine, but for its PCI devices.

    :param mac: MAC address of its network interface
    """

    def __init__(self, mac):
        super().__init__()
        self.mac = mac

    def _get_system_lshw_dict(self):
        return {}

    def list_network_interfaces(self):
        return [hardware.NetworkInterface(
            'eno1', self.mac, ipv4_address='192.0.2.1')]

    def get_cpus(self):
        return hardware.CPU('Xeon', 2000, CPUS, 'x86_64', socket_count=2)

    def get_memory(self):
        return hardware.Memory(MEMORY_MB * 2 ** 20, MEMORY_MB)

    def list_block_devices(self, include_partitions=False):
        return [hardware.BlockDevice(
            '/dev/nvme0n1', 'disk', DISK_GB * 2 ** 30, False)]

    def list_usb_devices(self):
        return []

    def get_system_vendor_info(self):
        return hardware.SystemVendorInfo(
            'machine', '1', 'ai-factory-plugins',
            hardware.SystemFirmware('', '', ''))

    def get_boot_info(self):
        return hardware.BootInfo('uefi', self.mac)

    def get_bmc_address(self):
        return None

    def get_bmc_v6address(self):
        return None


def main():
    _, sysfs, mac, url = sys.argv
    log.register_options(cfg.CONF)
    cfg.CONF([], project='ironic-python-agent')
    cfg.CONF.set_override('use_stderr', True)
    log.setup(cfg.CONF, 'ironic-python-agent')
    for name, value in (
            ('inspection_callback_url', url),
            ('inspection_collectors', COLLECTORS),
            ('inspection_dhcp_wait_timeout', 0)):
        cfg.CONF.set_override(name, value)
    machine = Machine(mac)
    hardware._global_managers = [
        {'name': 'Machine', 'manager': machine, 'support': 1}]
    os.environ[collector.ROOT] = sysfs
    _redirect(pathlib.Path(sysfs))
    try:
        print(inspector.inspect())
    except errors.InspectionError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _redirect(sysfs):
    """Let the agent's own collectors see another tree than ``/sys``."""

    def moved(path):
        path = os.fspath(path)
        return (str(sysfs) + path.removeprefix('/sys')
                if path.startswith('/sys/') else path)

    class Os:
        """The module ``os``, as far as it is asked for directories."""

        path = os.path

        def __getattr__(self, name):
            return getattr(os, name)

        def listdir(self, path):
            return os.listdir(moved(path))

    class Path:
        """The module ``os.path``, likewise."""

        def __getattr__(self, name):
            function = getattr(os.path, name)
            if not name.startswith('is'):
                return function
            return lambda path: function(moved(path))

    Os.path = Path()
    inspector.os = Os()
    inspector.open = lambda path, *args: builtins.open(moved(path), *args)


if __name__ == '__main__':
    sys.exit(main())
