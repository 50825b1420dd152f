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


"""PCI devices and what they are plugged into, from sysfs.

Source of the file names: Linux, ``Documentation/ABI/testing/sysfs-bus-pci``.
"""

import dataclasses
import os
import pathlib
import re

from ai_factory_plugins.inventory import errors

MAX_DEVICES = 4096
_ADDRESS = re.compile(r'[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')


@dataclasses.dataclass(frozen=True)
class PciDevice:
    """One PCI function.

    :param address: ``dddd:bb:dd.f`` in lower case
    :param vendor_id: four hexadecimal digits in lower case
    :param product_id: four hexadecimal digits in lower case
    :param class_code: base class, subclass and interface, 24 bits
    :param numa_node: NUMA node, or None where the platform tells none
    :param switches: addresses of the upstream ports of the PCIe switches
        above the device, innermost first; empty directly below a root port
    :param virtual: whether it is a virtual function of another device
    :param sriov_totalvfs: how many virtual functions it could have
    :param driver: name of the driver that it is bound to, or None
    """

    address: str
    vendor_id: str
    product_id: str
    class_code: int
    numa_node: int | None
    switches: tuple[str, ...] = ()
    sriov_totalvfs: int = 0
    driver: str | None = None
    virtual: bool = False


def read_pci_devices(root='/sys'):
    """The PCI devices of a machine.

    :param root: where sysfs is mounted, or a copy of it
    :returns: list of :class:`PciDevice`, by address
    :raises InventoryError: there is no such tree, or a device in it cannot
        be understood
    """
    return [read_pci_device(path) for path in pci_paths(root)]


def pci_paths(root='/sys'):
    """Where sysfs tells of each PCI device.

    :param root: where sysfs is mounted, or a copy of it
    :returns: list of :class:`pathlib.Path`, by address
    :raises InventoryError: there is no such tree
    """
    directory = pathlib.Path(root) / 'bus/pci/devices'
    try:
        names = sorted(os.listdir(directory))
    except OSError as exc:
        raise errors.InventoryError(
            f'{directory}: cannot list PCI devices: {exc.strerror}') from exc
    if len(names) > MAX_DEVICES:
        raise errors.InventoryError(
            f'{directory}: {len(names)} devices, more than {MAX_DEVICES}')
    return [directory / name for name in names
            if _ADDRESS.fullmatch(name.lower())]


def link(path):
    """The PCIe link of a device, as it is and as the device could.

    :param path: one of :func:`pci_paths`
    :returns: dict of ``speed`` and ``max_speed`` in GT/s, ``width`` and
        ``max_width`` in lanes, as far as the kernel tells them
    """
    found = {}
    for name in ('speed', 'width'):
        for prefix, file in (('', 'current_link_'), ('max_', 'max_link_')):
            value = _leading_number(path / (file + name))
            if value is not None:
                found[prefix + name] = value if name == 'speed' else int(value)
    return found


def near(devices, others):
    """Those devices that have a PCIe switch in common with any of the others.

    :param devices: list of :class:`PciDevice`
    :param others: list of :class:`PciDevice`
    :returns: list of :class:`PciDevice`
    """
    switches = {port for device in others for port in device.switches}
    return [device for device in devices
            if switches.intersection(device.switches)]


def switch_ids(device):
    """The PCIe switches above a device, as tags name them.

    :param device: a :class:`PciDevice`
    :returns: tuple of ids, outermost first
    """
    return tuple(switch_id(port) for port in reversed(device.switches))


def switch_id(port):
    """The id of the switch with the given upstream port."""
    return port.replace(':', '.')


def read_pci_device(path):
    """One PCI device.

    :param path: one of :func:`pci_paths`
    :returns: a :class:`PciDevice`
    :raises InventoryError: it cannot be read or understood
    """
    numa_node = _number(path / 'numa_node', default=-1)
    driver = path / 'driver'
    return PciDevice(
        address=path.name.lower(),
        vendor_id=f'{_number(path / "vendor", 0xffff):04x}',
        product_id=f'{_number(path / "device", 0xffff):04x}',
        class_code=_number(path / 'class', 0xffffff),
        numa_node=None if numa_node < 0 else numa_node,
        switches=_switches(path),
        sriov_totalvfs=_number(path / 'sriov_totalvfs', 0xffff, default=0),
        driver=driver.resolve().name if driver.exists() else None,
        virtual=(path / 'physfn').exists())


def _switches(path):
    """Upstream ports of the switches above a device, innermost first.

    The real path of a device names every bridge from the host bridge down.
    The first is the root port; below it, the ports of a switch come in pairs,
    upstream and downstream.
    """
    bridges = [part for part in path.resolve().parts[:-1]
               if _ADDRESS.fullmatch(part.lower())]
    return tuple(port.lower() for port in bridges[-2:0:-2])


def _leading_number(path):
    """The number that a file begins with, as in ``32.0 GT/s PCIe``."""
    try:
        text = path.read_text(errors='replace')
    except OSError:
        return None
    found = re.match(r'([0-9]{1,4}(?:\.[0-9]{1,3})?)\b', text, re.ASCII)
    return float(found[1]) if found else None


def _number(path, highest=None, default=None):
    try:
        text = path.read_text(errors='replace').strip()
    except OSError as exc:
        if default is not None:
            return default
        raise errors.InventoryError(f'{path}: {exc.strerror}') from exc
    try:
        number = int(text, 0)
    except ValueError as exc:
        raise errors.InventoryError(
            f'{path}: {text!r:.40} is not a number') from exc
    if highest is not None and not 0 <= number <= highest:
        raise errors.InventoryError(
            f'{path}: {text!r:.40} is not from 0 to {highest:#x}')
    return number
