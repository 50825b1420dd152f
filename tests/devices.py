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

"""PCI devices of machines, in the forms in which inspection tells them."""


def in_band(product='2330', count=8, vendor='10de', class_code='030200',
            first=0):
    """PCI devices as ironic-python-agent lists them."""
    return [{'vendor_id': vendor, 'product_id': product, 'class': class_code,
             'revision': 'a1', 'bus': f'0000:{0x10 + first + i:02x}:00.0',
             'numa_node_id': str(i * 2 // count)} for i in range(count)]


def redfish(product='0x2330', count=8, vendor='0x10DE',
            device_class='DisplayController'):
    """PCI functions as Ironic makes them from a BMC's answer."""
    return [{'vendor_id': vendor, 'product_id': product,
             'class': device_class, 'revision': '0xA1'}
            for _ in range(count)]


def topology(count=8, **changes):
    """What the collector in the ramdisk sends."""
    return {'version': 1, 'truncated': False, 'nvml': None, 'devices': [
        {'address': f'0000:{0x10 + i:02x}:00.0', 'vendor_id': '10de',
         'product_id': '2330', 'class': '030200', 'numa_node': i % 2,
         'switches': [], 'driver': None,
         'link': {'speed': 32.0, 'width': 16, 'max_width': 16}}
        for i in range(count)], **changes}


NIC = {'vendor_id': '15b3', 'product_id': '1021', 'class': '020700',
       'bus': '0000:05:00.0', 'numa_node_id': '-1'}
BMC = {'vendor_id': '1a03', 'product_id': '2000', 'class': '030000',
       'bus': '0000:06:00.0', 'numa_node_id': '-1'}
NVSWITCH = {'vendor_id': '10de', 'product_id': '22a3', 'class': '068000',
            'bus': '0000:07:00.0', 'numa_node_id': '-1'}


def inventory(mac):
    """What a ramdisk tells of a machine in general, at its least."""
    return {
        'interfaces': [{'name': 'eno1', 'mac_address': mac,
                        'ipv4_address': '192.0.2.1', 'has_carrier': True}],
        'cpu': {'count': 96, 'architecture': 'x86_64'},
        'memory': {'physical_mb': 2 ** 21},
        'disks': [{'name': '/dev/sda', 'size': 2 ** 40}],
        'bmc_address': None,
        'boot': {'current_boot_mode': 'uefi', 'pxe_interface': None},
    }
