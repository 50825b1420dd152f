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


"""The ``[pci]`` lines of nova.conf for the GPUs of a board."""

import json

from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import traits
from ai_factory_plugins.topology import wire


def resource_class(gpu):
    """Placement's resource class of a GPU.

    :param gpu: a :class:`~ai_factory_plugins.topology.model.Gpu`
    :returns: ``CUSTOM_GPU_<MODEL>``, or one made of the PCI ids where the
        catalogue does not know the model
    """
    name = gpu.model or f'PCI_{gpu.vendor_id}_{gpu.product_id}'.upper()
    return f'CUSTOM_GPU_{name}'


def alias_name(gpu):
    """Name of the PCI alias that flavors ask for.

    :param gpu: a :class:`~ai_factory_plugins.topology.model.Gpu`
    :returns: the model in lower case with dashes (``h100-sxm5-80gb``)
    """
    name = resource_class(gpu).removeprefix('CUSTOM_GPU_')
    return name.lower().replace('_', '-')


def device_specs(board):
    """One ``device_spec`` a GPU, with its topology as tag and as traits.

    :param board: a :class:`~ai_factory_plugins.topology.model.Board`
    :returns: list of dicts
    :raises ai_factory_plugins.topology.wire.WireError: a GPU has more
        memberships than the tag can carry
    """
    found = []
    for gpu in board.gpus:
        device = board.device(gpu.address)
        names = traits.encode(device)
        found.append({
            'vendor_id': gpu.vendor_id,
            'product_id': gpu.product_id,
            'address': gpu.address,
            'resource_class': resource_class(gpu),
            **({'traits': ','.join(names)} if names else {}),
            wire.TAG_KEY: wire.encode(device)})
    return found


def aliases(board, sriov=frozenset()):
    """One ``alias`` a GPU model.

    :param board: a :class:`~ai_factory_plugins.topology.model.Board`
    :param sriov: addresses of GPUs that can have virtual functions: Nova
        calls such a device a physical function
    :returns: list of dicts
    """
    found = {}
    for gpu in board.gpus:
        kind = 'type-PF' if gpu.address in sriov else 'type-PCI'
        found[alias_name(gpu), kind] = {
            'name': alias_name(gpu),
            'vendor_id': gpu.vendor_id,
            'product_id': gpu.product_id,
            'device_type': kind,
            'resource_class': resource_class(gpu)}
    return list(found.values())


def nic_device_specs(nics):
    """One ``device_spec`` a NIC, with the tag that names its switches.

    :param nics: list of :class:`~ai_factory_plugins.inventory.sysfs.PciDevice`
    :returns: list of dicts
    """
    return [{
        'vendor_id': nic.vendor_id,
        'product_id': nic.product_id,
        'address': nic.address,
        'resource_class': _nic_resource_class(nic),
        wire.NIC_TAG_KEY: wire.encode(model.Device(
            nic.address, nic.numa_node, switches=sysfs.switch_ids(nic))),
    } for nic in nics]


def nic_aliases(nics):
    """One ``alias`` a NIC model.

    :param nics: list of :class:`~ai_factory_plugins.inventory.sysfs.PciDevice`
    :returns: list of dicts
    """
    found = {}
    for nic in nics:
        kind = ('type-VF' if nic.virtual else
                'type-PF' if nic.sriov_totalvfs else 'type-PCI')
        name = f'nic-{nic.vendor_id}-{nic.product_id}'
        found[name, kind] = {
            'name': name, 'vendor_id': nic.vendor_id,
            'product_id': nic.product_id, 'device_type': kind,
            'resource_class': _nic_resource_class(nic)}
    return list(found.values())


def _nic_resource_class(nic):
    return f'CUSTOM_NIC_{nic.vendor_id}_{nic.product_id}'.upper()


def section(board, sriov=frozenset(), nics=()):
    """The ``[pci]`` section for a compute host with this board.

    :param board: a :class:`~ai_factory_plugins.topology.model.Board`
    :param sriov: see :func:`aliases`
    :param nics: the :class:`~ai_factory_plugins.inventory.sysfs.PciDevice` s
        that servers may have along with GPUs
    :returns: text in the form of oslo.config
    """
    lines = ['[pci]', 'report_in_placement = True']
    lines += [f'device_spec = {json.dumps(item)}'
              for item in (*device_specs(board), *nic_device_specs(nics))]
    lines += [f'alias = {json.dumps(item)}'
              for item in (*aliases(board, sriov), *nic_aliases(nics))]
    return '\n'.join(lines) + '\n'
