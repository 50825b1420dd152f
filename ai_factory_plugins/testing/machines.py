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

"""Machines for an emulated BMC, and what it tells of their GPUs.

Source of the resources and their properties: DMTF DSP8010, schemas
PCIeDevice 1.14, PCIeFunction 1.5 and Processor 1.20.

In YAML, a file is a list of machines, each with the fields of
:class:`Machine`::

    - uuid: 5f0a7d0e-6a5b-4b8e-9a55-3f1b6f0c0001
      name: hgx-1
      macs: ['52:54:00:00:00:01']
      functions:
      - {count: 8, VendorId: '0x10DE', DeviceId: '0x2330',
         DeviceClass: DisplayController}
      gpus:
      - {count: 8, Manufacturer: NVIDIA, Model: H100,
         MemorySummary: {TotalMemorySizeMiB: 81559}}
      answers:
        Processors/GPU_3: {status: 500}
"""

import dataclasses

import yaml

SYSTEMS = '/redfish/v1/Systems'
_STATUS = {'State': 'Enabled', 'Health': 'OK'}


class MachineError(ValueError):
    """A machine is not described as it should be; the message says where."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a BMC answers instead of what it should.

    :param status: HTTP status
    :param body: what is sent as JSON, or None for what is sent otherwise
    :param text: what is sent as it is, or None
    :param delay: seconds until it is sent
    :param after: how many times it is answered as it should be, before
    """

    status: int = 200
    body: object = None
    text: str | None = None
    delay: float = 0
    after: int = 0


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that is not there.

    :param uuid: of the Redfish system
    :param name: of the Redfish system
    :param macs: addresses of its network interfaces
    :param sockets: number of CPUs
    :param cores: number of cores of each, with two threads each
    :param memory_gib: its memory
    :param disk_gib: size of its only disk
    :param power_state: what it has at first, ``On`` or ``Off``
    :param functions: PCI functions, dicts of properties of PCIeFunction and
        ``count``; None for a BMC that does not list them
    :param gpus: GPUs among the Processors, dicts of properties of Processor
        and ``count``
    :param devices_in_collection: whether the system has a link to a
        collection of PCIeDevices, as some BMCs do, instead of a list
    :param answers: dict of paths below the system, such as
        ``Processors/GPU_0``, to an :class:`Answer`
    """

    uuid: str
    name: str
    macs: tuple = ()
    sockets: int = 2
    cores: int = 48
    memory_gib: int = 2048
    disk_gib: int = 1024
    power_state: str = 'Off'
    functions: tuple | None = None
    gpus: tuple = ()
    devices_in_collection: bool = False
    answers: dict = dataclasses.field(default_factory=dict)

    @property
    def path(self):
        """Path of the Redfish system."""
        return f'{SYSTEMS}/{self.uuid}'


def load(path):
    """Read machines from a YAML file.

    :param path: its path
    :returns: list of :class:`Machine`
    :raises MachineError: it does not describe machines
    """
    with open(path, encoding='utf-8') as stream:
        try:
            data = yaml.safe_load(stream)
        except yaml.YAMLError as exc:
            raise MachineError(f'{path} is not YAML: {exc}') from exc
    if not isinstance(data, list):
        raise MachineError(f'{path} has no list of machines')
    return [_machine(entry, f'{path}: machine {i}')
            for i, entry in enumerate(data)]


def resources(machine):
    """What the BMC has beside what any machine has.

    :param machine: a :class:`Machine`
    :returns: dict of paths to resources
    """
    found = {f'{machine.path}/Processors/{body["Id"]}': body
             for body in _processors(machine)}
    if machine.functions is not None:
        found[f'{machine.path}/PCIeDevices'] = _collection(
            'PCIeDevice', [_device_path(machine, i) for i in
                           range(len(_expanded(machine.functions)))])
        for i, function in enumerate(_expanded(machine.functions)):
            found.update(_device(_device_path(machine, i), i, function))
    for path, body in found.items():
        body['@odata.id'] = path
    return found


def extended(machine, path, body):
    """What any machine has, with links to what this one has.

    :param machine: a :class:`Machine`
    :param path: of the resource
    :param body: the resource
    :returns: the resource with the links
    """
    if path == machine.path and machine.functions is not None:
        link = f'{path}/PCIeDevices'
        paths = [_device_path(machine, i)
                 for i in range(len(_expanded(machine.functions)))]
        return {**body, **(
            {'PCIeDevices': {'@odata.id': link}}
            if machine.devices_in_collection else
            {'PCIeDevices': _links(paths),
             'PCIeDevices@odata.count': len(paths)})}
    if path == f'{machine.path}/Processors':
        members = body['Members'] + _links(
            f'{path}/{gpu["Id"]}' for gpu in _processors(machine))
        return {**body, 'Members': members,
                'Members@odata.count': len(members)}
    return body


def _machine(entry, where):
    if not isinstance(entry, dict):
        raise MachineError(f'{where} is not a mapping')
    try:
        machine = Machine(**{**entry, 'answers': {
            path: Answer(**answer)
            for path, answer in (entry.get('answers') or {}).items()}})
    except (AttributeError, TypeError) as exc:
        raise MachineError(f'{where}: {exc}') from exc
    for name in ('functions', 'gpus'):
        for item in getattr(machine, name) or ():
            if (not isinstance(item, dict)
                    or type(item.get('count', 1)) is not int):
                raise MachineError(
                    f'{where}: {name} has {item!r}, which is no mapping with '
                    'a number as count')
    return machine


def _expanded(entries):
    """Each entry as often as its ``count`` says."""
    return [{key: value for key, value in entry.items() if key != 'count'}
            for entry in entries for _ in range(entry.get('count', 1))]


def _processors(machine):
    return [{'@odata.type': '#Processor.v1_20_0.Processor', 'Id': f'GPU_{i}',
             'Name': f'GPU {i}', 'ProcessorType': 'GPU', 'Status': _STATUS,
             **properties}
            for i, properties in enumerate(_expanded(machine.gpus))]


def _device_path(machine, number):
    return f'{machine.path}/PCIeDevices/PCI_{number}'


def _device(path, number, function):
    """A PCI device with one function: dict of paths to resources."""
    functions = f'{path}/PCIeFunctions'
    return {
        path: {
            '@odata.type': '#PCIeDevice.v1_14_0.PCIeDevice',
            'Id': f'PCI_{number}', 'Name': f'PCI device {number}',
            'DeviceType': 'SingleFunction', 'Status': _STATUS,
            'PCIeFunctions': {'@odata.id': functions}},
        functions: _collection('PCIeFunction', [f'{functions}/0']),
        f'{functions}/0': {
            '@odata.type': '#PCIeFunction.v1_5_0.PCIeFunction',
            'Id': '0', 'Name': 'PCI function 0', 'FunctionId': 0,
            'FunctionType': 'Physical', 'Status': _STATUS, **function}}


def _collection(kind, paths):
    return {'@odata.type': f'#{kind}Collection.{kind}Collection',
            'Name': f'{kind} collection', 'Members': _links(paths),
            'Members@odata.count': len(paths)}


def _links(paths):
    return [{'@odata.id': path} for path in paths]
