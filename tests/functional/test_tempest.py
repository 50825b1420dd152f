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

"""The cloud as the DevStack plugin configures it, and Tempest's word on it.

Tempest itself runs the tests of the Tempest plugin.
"""

import configparser
import re
import subprocess

import pytest

from cloud import layout as layouts
from cloud import machines
from cloud import metal
from cloud import process
from cloud.services import common
from cloud.services import object_store
from cloud import tenant as tenants
from tests.functional import installation

SECONDS = 600
RESOURCE_CLASS = 'CUSTOM_GPU_H100_SXM5_80GB'
MACHINE = 'metal-hgx-1'
#: Tests of the plugin
TESTS = 11
#: Lines that are DevStack's
DEVSTACK = {'', '[key_manager]', 'fixed_key = 0'}


def settings(cloud, tenant):
    """What Tempest has to know of the cloud, by group."""
    flavor = tenant.compute.find_flavor('tempest') or (
        tenant.compute.create_flavor(
            name='tempest', ram=64, vcpus=1, disk=1))
    return {
        'oslo_concurrency': {'lock_path': cloud.layout.root / 'tempest'},
        'auth': {
            'admin_username': 'admin', 'admin_password': layouts.PASSWORD,
            'admin_project_name': 'admin', 'admin_domain_name': 'Default',
            'admin_system': 'all'},
        'identity': {
            'uri_v3': cloud.layout.url('keystone') + '/v3',
            'auth_version': 'v3', 'region': layouts.REGION},
        'compute': {
            'image_ref': tenant.image, 'flavor_ref': flavor.id,
            'build_interval': 1, 'build_timeout': 120,
            'max_microversion': 'latest'},
        'placement': {'max_microversion': 'latest'},
        'object-storage': {'operator_role': 'member'},
        'service_available': {
            'nova': True, 'glance': True, 'neutron': True, 'swift': True,
            'cinder': False, 'horizon': False, 'ai_factory': True},
        'ai_factory': {
            'gpu_alias': tenants.SXM, 'gpu_resource_class': RESOURCE_CLASS,
            'bare_metal': True,
            's3_url': cloud.layout.url(object_store.PROXY)},
    }


def run_tempest(directory, *arguments):
    """Run Tempest.

    :returns: a :class:`subprocess.CompletedProcess`
    """
    return subprocess.run(
        [*common.script('tempest'), *arguments], cwd=directory,
        timeout=SECONDS, capture_output=True, text=True,
        env=process.environment())


@pytest.fixture
def machine(cloud, tenant):
    """A machine that servers can have."""
    operator = metal.Operator(cloud)
    operator.clear()
    operator.enrol(MACHINE, machines.MACHINES[MACHINE])
    operator.inspect(MACHINE, machines.MACHINES[MACHINE])
    operator.offered(operator.provide(MACHINE))
    yield
    tenant.clear()
    operator.clear()


@pytest.fixture
def installed(cloud, tenant, tmp_path):
    """An :class:`~tests.functional.installation.Installation`."""
    with installation.Installation(cloud, tmp_path / 'devstack') as found:
        yield found


def test_scenarios(cloud, tenant, installed, machine, tmp_path):
    workspace = tmp_path / 'tempest'
    workspaces = '--workspace-path', str(tmp_path / 'workspaces.yaml')
    made = run_tempest(tmp_path, 'init', str(workspace), *workspaces)
    assert made.returncode == 0, made.stderr
    config = configparser.ConfigParser(interpolation=None)
    config.read_dict(settings(cloud, tenant))
    with open(workspace / 'etc/tempest.conf', 'w') as stream:
        config.write(stream)
    done = run_tempest(
        workspace, 'run', '--regex', r'^ai_factory_plugins\.',
        '--concurrency', '1', *workspaces)
    counts = {name: int(number) for name, number in re.findall(
        r'^ - (\w+): (\d+)$', done.stdout, re.MULTILINE)}
    assert (done.returncode, counts.get('Passed'), counts.get('Skipped')) == (
        0, TESTS, 0), done.stdout[-8000:] + done.stderr[-2000:]
    for path in installed.files.values():
        text = path.read_text()
        assert any(word in text for word in (
            'GPUTopologyFilter', 'breadth-first', 'gpu-inventory',
            'block_cache', 'range_server')), path
    installed.run('unstack')
    for name, path in installed.files.items():
        # The order of lines of one section does not matter.
        assert sorted(set(path.read_text().splitlines()) - DEVSTACK) == sorted(
            set(installed.stock[name].splitlines()) - DEVSTACK), path
