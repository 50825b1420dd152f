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

"""What the plugin says to wrong options, and what its settings set."""

import pathlib

from tests.unit.devstack import base


class WrongOptionsTest(base.TestCase):

    def assert_stops(self, message, **options):
        """stack.sh stops with one line of ours, before it has done a thing."""
        host = self.devstack(
            **{'ENABLED_SERVICES': base.CONTROLLER, **options})
        found = host.run('stack')
        self.assert_stopped(message, found)
        self.assertEqual({}, host.files())
        self.assertEqual('', host.calls())

    def test_boards(self):
        for name in ('hgx', 'hgx-h100 mi300x-8', '../board_data/hgx-h100',
                     '*'):
            self.assert_stops(f"no board '{name}'; there are h100-4numa ",
                              AI_FACTORY_FAKE_GPUS=name)

    def test_machines(self):
        options = {
            'ENABLED_SERVICES': f'{base.CONTROLLER},{base.IRONIC}',
            'VIRT_DRIVER': 'ironic'}
        for names, name in (('hgx', 'hgx'), ('hgx-h100 no-board', 'no-board'),
                            ('../board_data/hgx-h100',) * 2):
            self.assert_stops(
                f"AI_FACTORY_FAKE_MACHINES: no board '{name}'; there are ",
                **options, AI_FACTORY_FAKE_MACHINES=names)
        options['VIRT_DRIVER'] = 'libvirt'
        self.assert_stops('needs VIRT_DRIVER=ironic', **options,
                          AI_FACTORY_FAKE_MACHINES='hgx-h100')
        self.assert_stops('needs the service ai-factory-ironic',
                          AI_FACTORY_FAKE_MACHINES='hgx-h100')

    def test_machines_that_cannot_be_enrolled(self):
        host = self.devstack(**base.CASES['all'])
        self.assert_stopped('the machines could not be enrolled',
                            host.run('stack', FLEET_FAILS='yes'))

    def test_numbers(self):
        for value in ('0', '-1', 'two', '100', '1 2'):
            self.assert_stops('AI_FACTORY_FAKE_COMPUTES is a number',
                              AI_FACTORY_FAKE_COMPUTES=value, **base.BOARD)
        for value in ('1 two', '0', '1,2'):
            self.assert_stops('AI_FACTORY_FLAVOR_GPUS is a list',
                              AI_FACTORY_FLAVOR_GPUS=value)

    def test_virt_drivers(self):
        self.assert_stops('needs VIRT_DRIVER fake or ironic', **base.BOARD,
                          VIRT_DRIVER='zvm')

    def test_real_and_other_gpus(self):
        self.assert_stops('set one of them', **base.BOARD,
                          AI_FACTORY_INVENTORY_ARGS='--map file')

    def test_services_that_are_missing(self):
        for service, others, message in (
                ('nova', base.SWIFT, 'no service of Nova'),
                ('ironic', base.SWIFT, 'enable its plugin'),
                ('swift', base.CONTROLLER, 'neither s-proxy nor s-object')):
            self.assert_stops(
                message, ENABLED_SERVICES=f'ai-factory-{service},{others}')
        self.assert_stops(
            'needs the service ai-factory-nova', **base.BOARD,
            ENABLED_SERVICES=base.SWIFT)

    def test_ironic_that_nobody_configures(self):
        host = self.devstack(**base.CASES['ironic'])
        self.assert_stopped('nobody has configured ironic',
                            host.run('stack', IRONIC='never'))

    def test_gpus_that_cannot_be_read(self):
        host = self.devstack(ENABLED_SERVICES=base.CONTROLLER)
        found = host.run('stack', AI_FACTORY_INVENTORY_ARGS='--sysfs-root /no')
        self.assertEqual(1, found.returncode)
        self.assertIn('cannot tell which GPUs there are', found.stderr)


class SettingsTest(base.TestCase):

    def test_tempest_gets_our_tests(self):
        for given, expected in (
                ('', 'PROJECT[tempest]'), ('0', 'PROJECT[tempest]'),
                ('/a', '/a PROJECT[tempest]'),
                (f'/a {base.PROJECT}[tempest]', '/a PROJECT[tempest]')):
            host = self.devstack(**base.CASES['ironic'])
            local = host.root / 'local'
            local.write_text('echo "plugins: $TEMPEST_PLUGINS"\n')
            found = self.done(host, 'stack', LOCAL_CONF=str(local),
                              TEMPEST_PLUGINS=given)
            self.assertIn(f'plugins: {expected}\n',
                          host.neutral(found.stdout))

    def test_shell_files_name_their_functions(self):
        """Each function has a comment that says how it is called."""
        for path in pathlib.Path(base.PROJECT, 'devstack').rglob('*'):
            if path.is_dir() or path.suffix in ('.rst', '.sample'):
                continue
            lines = path.read_text().splitlines()
            for before, line in zip(lines, lines[1:]):
                if line.startswith('function '):
                    name = line.split()[1]
                    self.assertTrue(
                        before.startswith('# ' + name), f'{path}: {name}')
