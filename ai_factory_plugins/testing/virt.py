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


"""A virt driver whose host has the PCI devices of a board.

All that is not real about a compute with this driver is the hypervisor and
the devices, which it reads from a sysfs tree such as
:mod:`ai_factory_plugins.testing.boards` writes.
"""

import nova.conf
from nova import objects
from nova.objects import fields
from nova.virt import fake
from oslo_config import cfg
from oslo_serialization import jsonutils

from ai_factory_plugins.inventory import sysfs

CONF = nova.conf.CONF
GROUP = cfg.OptGroup('ai_factory_boards', title='Boards that are not there')
OPTS = [
    cfg.StrOpt('sysfs_root', default='/sys', help="""
Root of the sysfs tree with the PCI devices that BoardDriver reports.
"""),
]
_BRIDGE = 0x0604


class BoardDriver(fake.FakeDriverWithoutFakeNodes):
    """Nova's fake driver, as one of a single host, on a host with GPUs.

    The plain fake driver makes up another identity of its node at each start,
    and nova-compute refuses to start for the second time.
    """

    vcpus = 96
    memory_mb = 1024 * 1024
    local_gb = 16 * 1024

    def get_available_resource(self, nodename):
        """What Nova's fake driver has, two NUMA nodes and the devices."""
        CONF.register_opts(OPTS, group=GROUP)
        devices = [
            device for device in sysfs.read_pci_devices(
                CONF.ai_factory_boards.sysfs_root)
            if device.class_code >> 8 != _BRIDGE]
        nodes = sorted({0, 1} | {
            device.numa_node for device in devices
            if device.numa_node is not None})
        return {
            **super().get_available_resource(nodename),
            'numa_topology': self._numa_topology(nodes)._to_json(),
            'pci_passthrough_devices': jsonutils.dumps(
                [_reported(device) for device in devices])}

    def _numa_topology(self, nodes):
        cpus = self.vcpus // len(nodes)
        memory = self.memory_mb // len(nodes)
        return objects.NUMATopology(cells=[
            objects.NUMACell(
                id=node, socket=node, memory=memory, memory_usage=0,
                cpuset=set(range(i * cpus, (i + 1) * cpus)), pcpuset=set(),
                cpu_usage=0, pinned_cpus=set(), siblings=[],
                mempages=[objects.NUMAPagesTopology(
                    size_kb=4, total=memory * 256, used=0)])
            for i, node in enumerate(nodes)])


def _reported(device):
    """A device as a virt driver reports it."""
    return {
        'address': device.address,
        'vendor_id': device.vendor_id,
        'product_id': device.product_id,
        'dev_id': 'pci_' + device.address.translate(
            str.maketrans(':.', '__')),
        'label': f'label_{device.vendor_id}_{device.product_id}',
        'dev_type': (fields.PciDeviceType.SRIOV_PF if device.sriov_totalvfs
                     else fields.PciDeviceType.STANDARD),
        'numa_node': device.numa_node,
        'parent_addr': None,
        'status': fields.PciDeviceStatus.AVAILABLE,
    }
