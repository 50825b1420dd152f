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

"""Whole machines: from inspection to a server on the right one."""

import json
import os
import signal
import subprocess
import time
import urllib.request

import pytest

from ai_factory_plugins.testing import fleet
from cloud import machines
from cloud import metal
from cloud.services import common
from tests import devices
from tests.functional import conftest

HGX = machines.Machine('hgx-h100')
MODELS = {'hgx-h100': 'H100_SXM5_80GB', 'mi300x-8': 'MI300X',
          'pcie-bridge-pairs': 'H100_PCIE_80GB'}
THEIRS = {'CUSTOM_RACK_7', 'CUSTOM_GPU_FAST', 'HW_CPU_X86_VMX'}


@pytest.fixture(scope='module')
def _operator(cloud):
    operator = metal.Operator(cloud)
    operator.clear()
    yield operator
    operator.clear()


@pytest.fixture
def operator(_operator, tenant):
    """A :class:`~cloud.metal.Operator` of a cloud without machines."""
    _operator.clear()
    yield _operator
    tenant.clear()


@pytest.fixture(scope='module')
def inspected(_operator):
    """A machine with eight H100, of which a ramdisk has told."""
    _operator.clear()
    _operator.enrol('metal-1', HGX)
    return _operator.inspect('metal-1', HGX)


@pytest.fixture
def ironic_log(cloud):
    return conftest.Log(cloud.layout.log('ironic'))


def ours(node):
    return {name for name in node.traits if name not in THEIRS}


def post(cloud, name, plugin_data):
    """Send what anybody can send, as the ramdisk of a machine."""
    body = {'inventory': devices.inventory(fleet.mac(name)), **plugin_data}
    request = urllib.request.Request(
        cloud.layout.url('ironic') + fleet.CALLBACK,
        data=json.dumps(body).encode(),
        headers={'Content-Type': 'application/json'})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 202


def test_each_flavor_boots_its_machine(operator, tenant):
    for board in MODELS:
        name, machine = f'metal-{board}', machines.Machine(board)
        operator.enrol(name, machine)
        operator.inspect(name, machine)
        operator.offered(operator.provide(name))
    flavors = operator.flavors()
    assert sorted(flavors) == [
        'bm.gpu.h100-pcie-80gb.x4', 'bm.gpu.h100-sxm5-80gb.x8',
        'bm.gpu.mi300x.x8']
    for board, flavor in (('mi300x-8', 'mi300x.x8'),
                          ('hgx-h100', 'h100-sxm5-80gb.x8'),
                          ('pcie-bridge-pairs', 'h100-pcie-80gb.x4')):
        flavor = flavors[f'bm.gpu.{flavor}']
        server = tenant.boot(board, flavor)
        assert server.status == 'ACTIVE', server.fault
        node = operator.baremetal.get_node(f'metal-{board}')
        assert node.instance_id == server.id
        second = tenant.boot('second', flavor)
        assert 'No valid host' in second.fault['message']


def test_broken_machine_is_avoided(operator, tenant):
    for name in ('metal-1', 'metal-2'):
        operator.enrol(name, HGX)
        operator.inspect(name, HGX)
    operator.inspect('metal-1', HGX, machines.lose_gpu)
    broken, sound = (operator.provide(name)
                     for name in ('metal-1', 'metal-2'))
    assert 'CUSTOM_GPU_DEGRADED' in operator.offered(broken)
    assert broken.properties['gpu_health'] == '7 GPUs where it had before 8'
    assert 'CUSTOM_GPU_COUNT_8' in operator.offered(sound)
    flavor, = operator.flavors().values()
    assert tenant.boot('a', flavor).status == 'ACTIVE'
    assert operator.baremetal.get_node(sound.id).instance_id
    assert 'No valid host' in tenant.boot('b', flavor).fault['message']
    operator.withdraw('metal-1')
    assert operator.inspect('metal-1', HGX).properties['gpu_health'] == 'ok'
    repaired = operator.provide('metal-1')
    assert 'CUSTOM_GPU_DEGRADED' not in operator.offered(repaired)
    assert tenant.boot('c', flavor).status == 'ACTIVE'


def test_machine_that_its_bmc_tells(operator, tenant):
    machine = machines.MACHINES['metal-hgx-2']
    assert machine.redfish
    operator.enrol('metal-hgx-2', machine)
    node = operator.inspect('metal-hgx-2', machine)
    assert {'CUSTOM_GPU_MODEL_H100_SXM5_80GB', 'CUSTOM_GPU_COUNT_8',
            'CUSTOM_GPU_NVSWITCH'} <= set(node.traits)
    assert node.resource_class == 'GPU_H100_SXM5_80GB_X8'
    flavor, = operator.flavors().values()
    node = operator.inspect('metal-hgx-2', machine, machines.lose_gpu)
    assert {'CUSTOM_GPU_COUNT_7', 'CUSTOM_GPU_DEGRADED'} <= set(node.traits)
    assert 'CUSTOM_GPU_COUNT_8' not in node.traits
    assert node.properties['gpu_summary'].startswith('7 x H100')
    operator.inspect('metal-hgx-2', machine)
    operator.offered(operator.provide('metal-hgx-2'))
    server = tenant.boot('a', flavor)
    assert server.hypervisor_hostname == node.id, server.fault


def test_six_inspections_leave_nothing_stale(operator):
    node = operator.enrol('metal-1', HGX)
    for trait in sorted(THEIRS):
        operator.baremetal.add_node_trait(node, trait)
    for board in ('hgx-h100', 'mi300x-8', 'pcie-bridge-pairs', None,
                  'mi300x-8', 'hgx-h100'):
        node = operator.inspect('metal-1', machines.Machine(board))
        assert THEIRS <= set(node.traits)
        assert ({name for name in ours(node) if '_MODEL_' in name}
                == ({f'CUSTOM_GPU_MODEL_{MODELS[board]}'} if board
                    else set()))
    expected = ours(node)
    operator.enrol('metal-2', HGX)
    assert ours(operator.inspect('metal-2', HGX)) == expected


def test_link_that_lost_its_width(operator, ironic_log):
    operator.enrol('metal-1', HGX)

    def narrow(sysfs):
        gpus = machines.gpus(sysfs)
        for path in gpus:
            (path / 'current_link_width').write_text('16\n')
        (gpus[0] / 'current_link_width').write_text('8\n')

    node = operator.inspect('metal-1', HGX, narrow)
    assert 'CUSTOM_GPU_DEGRADED' in node.traits
    assert 'has 8 PCIe lanes of 16' in node.properties['gpu_health']
    assert f'The GPUs of node {node.id} are not well' in ironic_log.text


GPUS = devices.in_band()
DEEP = []
for _ in range(20):
    DEEP = [DEEP]
MALFORMED = {
    'nothing': None,
    'empty': [],
    'mapping': {'0': GPUS[0]},
    'text': 'GPUs',
    'number': 8,
    'no-mappings': [GPUS[0], None, 7],
    'nested': DEEP,
    'nothing-told': [{}, {}],
    'fields-of-nothing': [dict.fromkeys(GPUS[0])],
    '20000-gpus': GPUS * 2500,
    '20000-nics': [devices.NIC] * 20000,
    'numbers-for-ids': [{**GPUS[0], 'vendor_id': 0x10de}],
    'list-for-text': [{**GPUS[0], 'product_id': ['2330']}],
    'true-for-text': [{**GPUS[0], 'class': True}],
    'huge-text': [{**GPUS[0], 'vendor_id': 'a' * 10 ** 6}],
    'full-width-digits': [{**GPUS[0], 'vendor_id': '１０ｄｅ'}],
    'no-address': [{**GPUS[0], 'bus': '../../etc/passwd'}],
    'no-node': [{**GPUS[0], 'numa_node_id': '٣'}],
    'line-break': [{**GPUS[0], 'product_id': '2330\n'}],
    'nul': [{**GPUS[0], 'product_id': '23\x0030'}],
}


@pytest.mark.parametrize('value', MALFORMED.values(), ids=MALFORMED)
def test_malformed_data_changes_nothing(
        cloud, _operator, inspected, ironic_log, value):
    node = _operator.told('metal-1', lambda: post(
        cloud, 'metal-1', {'pci_devices': value}))
    assert set(node.traits) == set(inspected.traits)
    assert node.properties == inspected.properties
    assert 'Inspection data of node' in ironic_log.text
    assert 'Traceback' not in ironic_log.text


UNUSUAL = {
    'prefixed-capitals': [
        {**gpu, 'vendor_id': '0x10DE', 'product_id': '0X2330'}
        for gpu in GPUS],
    'duplicates': GPUS * 3,
    'no-node': [{**gpu, 'numa_node_id': '-1'} for gpu in GPUS],
}


@pytest.mark.parametrize('value', UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_data_is_understood(cloud, _operator, inspected, value):
    node = _operator.told('metal-1', lambda: post(
        cloud, 'metal-1', {'pci_devices': [devices.NVSWITCH, *value]}))
    assert set(inspected.traits) - set(node.traits) <= {
        'CUSTOM_GPU_NUMA_BALANCED'}
    assert set(node.traits) <= set(inspected.traits)


@pytest.mark.parametrize('value', [
    None, [], 'x', {'version': 2}, {'version': 1, 'devices': {}},
    {'version': 1, 'devices': GPUS, 'nvml': []},
    {'version': 1, 'truncated': True, 'devices': []}])
def test_malformed_topology_leaves_the_plain_list(
        cloud, _operator, inspected, ironic_log, value):
    node = _operator.told('metal-1', lambda: post(cloud, 'metal-1', {
        'gpu_topology': value,
        'pci_devices': [devices.NVSWITCH, *GPUS]}))
    assert set(node.traits) == set(inspected.traits)
    assert 'gpu-topology: ' in ironic_log.text
    assert 'told by pci-devices' in ironic_log.text


@pytest.mark.parametrize('theirs, room', [(48, 2), (50, 0)])
def test_traits_at_the_limit(operator, ironic_log, theirs, room):
    node = operator.enrol('metal-1', HGX)
    names = [f'CUSTOM_{i}' for i in range(theirs)]
    operator.baremetal.set_node_traits(node, names)
    node = operator.inspect('metal-1', HGX)
    assert set(names) <= set(node.traits)
    assert len(node.traits) == theirs + room
    assert f'Node {node.id} has no room for the traits' in ironic_log.text


def test_wrong_option_is_one_line(cloud, tmp_path):
    wrong = tmp_path / 'wrong.conf'
    wrong.write_text(
        '[DEFAULT]\nhost = other\n[api]\nport = 1\n[gpu_inventory]\n'
        'resource_class_template = GPU {model}\n')
    log = tmp_path / 'log'
    with open(log, 'w') as stream:
        process = subprocess.Popen(
            [*common.script('ironic'), '--config-file',
             str(cloud.layout.etc('ironic') / 'ironic.conf'),
             '--config-file', str(wrong)],
            stdout=stream, stderr=stream, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while 'CRITICAL' not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    line = next(line for line in log.read_text().splitlines()
                if 'CRITICAL' in line)
    assert line.endswith(
        'The inspection hook gpu-inventory cannot run: '
        "[gpu_inventory]resource_class_template: 'GPU {model}': 'GPU ' has "
        'other characters than letters, digits and _')
