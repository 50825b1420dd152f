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

"""The traits of a machine with GPUs.

With the default prefix, for eight H100 on an HGX board::

    CUSTOM_GPU_MODEL_H100_SXM5_80GB   CUSTOM_GPU_COUNT_8
    CUSTOM_GPU_NVLINK                 CUSTOM_GPU_NVSWITCH
    CUSTOM_GPU_MEMORY_80GB            CUSTOM_GPU_MIG_CAPABLE
    CUSTOM_GPU_VENDOR_NVIDIA          CUSTOM_GPU_PCI_10DE_2330
    CUSTOM_GPU_NUMA_BALANCED

and ``CUSTOM_GPU_MIXED`` for a machine with GPUs of several models. Memory is
that of each GPU. A machine without GPUs has none of them.
"""

import re

#: What can be chosen, most important first. The PCI ids always stand.
FAMILIES = ('model', 'count', 'nvlink', 'nvswitch', 'memory', 'mig', 'vendor',
            'pci', 'mixed', 'numa')
MAX_LENGTH = 255
#: Ironic's limit for a node, ironic.conf's API reference: 50.
MAX_TRAITS = 50
_CUSTOM = re.compile('CUSTOM_[A-Z0-9_]+')


def is_custom(name):
    """Whether placement takes a name for a trait of an operator's own."""
    return bool(_CUSTOM.fullmatch(name)) and len(name) <= MAX_LENGTH


def traits(machine, prefix='CUSTOM_GPU', families=FAMILIES):
    """The traits of a machine.

    :param machine: a :class:`~ai_factory_plugins.baremetal.machine.Machine`
    :param prefix: what each begins with
    :param families: those of :data:`FAMILIES` that are wanted
    :returns: list of names, most important first
    """
    if not machine.gpus:
        return []
    found = []
    for family in FAMILIES:
        if family in families or family == 'pci':
            found.extend(f'{prefix}_{name}'
                         for name in sorted(set(_NAMES[family](machine))))
    return [name for name in found if is_custom(name)]


def _pci(machine):
    return [f'PCI_{gpu.vendor_id}_{gpu.product_id}'.upper()
            for gpu in machine.gpus if gpu.vendor_id]


_NAMES = {
    'model': lambda machine: [
        f'MODEL_{gpu.model}' for gpu in machine.gpus if gpu.model],
    'count': lambda machine: [f'COUNT_{len(machine.gpus)}'],
    'nvlink': lambda machine: ['NVLINK'] * machine.nvlink,
    'nvswitch': lambda machine: ['NVSWITCH'] * machine.nvswitch,
    'memory': lambda machine: (
        [f'MEMORY_{machine.memory_gib}GB'] if machine.memory_gib else []),
    'mig': lambda machine: ['MIG_CAPABLE'] * machine.mig,
    'vendor': lambda machine: [
        f'VENDOR_{gpu.vendor}' for gpu in machine.gpus],
    'pci': _pci,
    'mixed': lambda machine: ['MIXED'] * machine.mixed,
    'numa': lambda machine: ['NUMA_BALANCED'] * machine.numa_balanced,
}
