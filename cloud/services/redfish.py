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

"""The BMCs of machines that are inspected by Redfish, as an emulator."""

import pathlib
import sys

import yaml

from ai_factory_plugins.inventory import sysfs
from ai_factory_plugins.testing import fleet
from cloud import machines
from cloud import service

ENDPOINT = None
PACKAGES = ()
# Names of base classes in the schema PCIeFunction, DMTF DSP8010.
_CLASSES = {0x02: 'NetworkController', 0x03: 'DisplayController',
            0x06: 'Bridge', 0x12: 'ProcessingAccelerators'}


def _file(cloud):
    return cloud.layout.etc('redfish') / 'machines.yaml'


def configure(cloud):
    cloud.layout.directory('redfish')
    # What was changed since stays as it is.
    for name, machine in machines.MACHINES.items():
        if machine.redfish and name not in _known(cloud):
            describe(cloud, name, machines.sysfs(cloud, name, machine))


def describe(cloud, name, tree):
    """Let a BMC tell another machine, from its next start on.

    :param name: of the machine
    :param tree: its sysfs tree
    """
    known = {**_known(cloud), name: {
        'uuid': machines.system(name), 'name': name,
        'macs': [fleet.mac(name)],
        'functions': [_function(device)
                      for device in sysfs.read_pci_devices(tree)]}}
    path = _file(cloud)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(list(known.values())))


def _known(cloud):
    path = pathlib.Path(_file(cloud))
    if not path.exists():
        return {}
    return {entry['name']: entry for entry in yaml.safe_load(path.read_text())}


def _function(device):
    return {'VendorId': f'0x{device.vendor_id.upper()}',
            'DeviceId': f'0x{device.product_id.upper()}',
            'ClassCode': f'0x{device.class_code:06X}',
            'DeviceClass': _CLASSES[device.class_code >> 16]}


def schema(cloud):
    return {}


def services(cloud):
    layout = cloud.layout
    return [service.Service(
        'redfish',
        [sys.executable, '-m', 'ai_factory_plugins.testing.redfish',
         '--port', str(layout.port('redfish')),
         '--state-dir', str(layout.root / 'redfish'), str(_file(cloud))],
        ports=('redfish',),
        ready=lambda: service.answers(layout.url('redfish') + '/redfish/v1'))]
