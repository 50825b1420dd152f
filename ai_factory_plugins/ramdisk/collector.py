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

"""The collector ``gpu-topology`` of ironic-python-agent.

What it sends is a mapping ``gpu_topology``:

``version``
    1
``truncated``
    whether something is missing that may be a GPU, for example because the
    time was up
``devices``
    the GPUs and accelerators, NVSwitches and network devices, each with
    ``address``, ``vendor_id``, ``product_id`` and ``class`` as hexadecimal
    digits, ``numa_node`` or None, ``switches`` (upstream ports of the PCIe
    switches above it, innermost first), ``driver`` or None, and ``link``
    (``speed`` and ``max_speed`` in GT/s, ``width`` and ``max_width`` in
    lanes)
``nvml``
    None, or what :func:`~ai_factory_plugins.ramdisk.nvml.read` tells

An inspection never fails because of it.
"""

import logging
import os
import time

from ai_factory_plugins.inventory import errors
from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.ramdisk import nvml

LOG = logging.getLogger(__name__)
KEY = 'gpu_topology'
VERSION = 1
#: Environment variable that names another place than ``/sys``.
ROOT = 'GPU_TOPOLOGY_SYSFS_ROOT'
MAX_DEVICES = 512
#: Time for the PCI devices, of which each takes about a millisecond.
SECONDS = 20
# PCI base classes: network, display, processing accelerators.
_BASES = frozenset((0x02, 0x03, 0x12))
# Base classes that are looked at first, and must not be missing.
_GPU_BASES = frozenset((0x03, 0x12))
# An NVSwitch is a bridge of another kind.
_OTHER_BRIDGE = 0x0680


def collect(data, failures):
    """Tell of GPUs and how they are joined.

    :param data: what is sent; gets the key ``gpu_topology``
    :param failures: what failed; nothing is added
    """
    root = os.environ.get(ROOT, '/sys')
    try:
        data[KEY] = read(root)
    except errors.InventoryError as exc:
        LOG.warning('gpu-topology tells nothing: %s', exc)
    except Exception:
        LOG.exception('gpu-topology could not read %s and tells nothing',
                      root)


def read(root='/sys', clock=time.monotonic):
    """What the collector tells.

    :param root: where sysfs is mounted, or a copy of it
    :param clock: returns seconds
    :returns: a dict, see above
    :raises InventoryError: there is no such tree
    """
    devices, truncated = _devices(root, clock)
    has_nvidia = any(device['vendor_id'] == '10de' for device in devices)
    return {'version': VERSION, 'truncated': truncated, 'devices': devices,
            'nvml': nvml.read() if has_nvidia else None}


def _devices(root, clock):
    """The devices of interest, GPUs first; whether a GPU may be missing."""
    deadline = clock() + SECONDS
    found, truncated = [], False
    for path in sysfs.pci_paths(root):
        if clock() > deadline:
            LOG.warning('gpu-topology: %s s are up, devices from %s on are '
                        'missing', SECONDS, path.name)
            truncated = True
            break
        try:
            device = sysfs.read_pci_device(path)
        except errors.InventoryError as exc:
            LOG.warning('gpu-topology: %s', exc)
            truncated = truncated or _may_be_gpu(path)
            continue
        if _is_of_interest(device):
            found.append((device, sysfs.link(path)))
    found.sort(key=lambda item: item[0].class_code >> 16 not in _GPU_BASES)
    if len(found) > MAX_DEVICES:
        LOG.warning('gpu-topology: %s devices, of which %s are told',
                    len(found), MAX_DEVICES)
        truncated = truncated or (
            found[MAX_DEVICES][0].class_code >> 16 in _GPU_BASES)
    return [_told(*item) for item in found[:MAX_DEVICES]], truncated


def _is_of_interest(device):
    return not device.virtual and (
        device.class_code >> 16 in _BASES
        or device.class_code >> 8 == _OTHER_BRIDGE)


def _may_be_gpu(path):
    """Whether a device that cannot be read may be a GPU."""
    try:
        class_code = int((path / 'class').read_text(), 0)
    except (OSError, ValueError):
        return True
    return class_code >> 16 in _GPU_BASES


def _told(device, link):
    return {'address': device.address, 'vendor_id': device.vendor_id,
            'product_id': device.product_id,
            'class': f'{device.class_code:06x}',
            'numa_node': device.numa_node,
            'switches': list(device.switches), 'driver': device.driver,
            'link': link}
