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

"""What the DevStack plugin does in each phase of stack, unstack and clean."""

from ai_factory_plugins.testing import boards
from tests.unit.devstack import base


class GoldenTest(base.TestCase):
    """Write the files anew with ``python -m tests.unit.devstack``."""

    def check(self, case):
        options = base.CASES[case]
        host = self.stacked(**options)
        stock = self.devstack(**options)
        self.done(stock, 'stack', PLUGIN='no')
        found = base.changes(host, stock.files())
        golden = {path.name: path.read_text()
                  for path in (base.GOLDEN / case).iterdir()}
        self.assertEqual(sorted(golden), sorted(found))
        for name, text in found.items():
            self.assertEqual(golden[name], text, name)

    def test_nova_with_a_board_that_is_not_there(self):
        self.check('nova')

    def test_nova_on_a_host_with_gpus(self):
        self.check('nova-host')

    def test_ironic(self):
        self.check('ironic')

    def test_swift(self):
        self.check('swift')

    def test_all(self):
        """Computes with boards stand beside the one of Ironic."""
        self.check('all')


class AgainTest(base.TestCase):

    def test_restack_without_unstack(self):
        for rebuild in ('yes', 'no'):
            with self.subTest(rebuild=rebuild):
                host = self.stacked(**base.CASES['all'])
                first = host.files()
                self.done(host, 'stack', REBUILD=rebuild)
                self.assertEqual(first, host.files())

    def test_other_services_than_before(self):
        """What is no longer enabled goes, although unstack did not run."""
        host = self.stacked(**base.CASES['all'])
        options = {'ENABLED_SERVICES': base.CONTROLLER + ',' + base.SWIFT,
                   'DISABLED_SERVICES': 'ai-factory-nova',
                   'AI_FACTORY_FAKE_GPUS': '',
                   'AI_FACTORY_FAKE_MACHINES': ''}
        self.done(host, 'stack', REBUILD='no', **options)
        files = host.files()
        self.assertNotIn('ai_factory', files['nova/nova.conf'])
        self.assertIn('batch_read', files['swift/proxy-server.conf'])

    def test_unstack_after_restack(self):
        """Files go back to what they were before the last run."""
        options = base.CASES['nova']
        host = self.stacked(**options)
        path = host.conf('placement/placement.conf')
        path.write_text(path.read_text().replace('keystone', 'noauth2'))
        self.done(host, 'stack', REBUILD='no')
        self.done(host, 'unstack')
        stock = (base.HERE / 'sample/placement.conf').read_text()
        self.assertEqual(
            stock.replace('keystone', 'noauth2'), path.read_text())

    def test_flavors_are_registered_once(self):
        host = self.stacked(**base.CASES['nova'])
        host.calls()
        self.done(host, 'stack')
        self.assertNotIn('flavor create', host.calls())


class RemovalTest(base.TestCase):

    def stock(self, **options):
        host = self.devstack(**options)
        self.done(host, 'stack', PLUGIN='no')
        return host.files()

    def test_files_are_as_they_were(self):
        for case, options in base.CASES.items():
            with self.subTest(case):
                host = self.stacked(**options)
                self.done(host, 'unstack')
                stock = {name: text for name, text
                         in self.stock(**options).items()
                         if not name.startswith('tempest/')}
                files = {name: text for name, text in host.files().items()
                         if not name.startswith('tempest/')}
                self.assertEqual(stock, files)
                self.assertFalse((host.root / 'data/ai-factory-plugins')
                                 .exists())
                self.done(host, 'clean')
                self.assertEqual(files, {
                    name: text for name, text in host.files().items()
                    if not name.startswith('tempest/')})

    def test_processes_and_flavors_go(self):
        host = self.stacked(**base.CASES['all'])
        host.calls()
        self.done(host, 'unstack')
        calls = host.calls()
        for i in (1, 2):
            self.assertIn(f'stop_process n-cpu-ai-factory-{i}\n', calls)
            self.assertIn('systemctl reset-failed '
                          f'devstack@n-cpu-ai-factory-{i}.service\n', calls)
        self.assertEqual(5, calls.count('flavor delete'))
        self.assertEqual([], list((host.root / 'flavors').iterdir()))
        units = {path.name for path in (host.root / 'systemd').iterdir()}
        self.assertEqual({'devstack@n-cpu.service'}, units)
        self.done(host, 'clean')
        self.assertEqual('pip_uninstall ai-factory-plugins\n'
                         'pip_uninstall ironic-python-agent\n', host.calls())

    def test_what_is_disabled_by_then_goes_as_well(self):
        host = self.stacked(**base.CASES['nova'])
        self.done(host, 'unstack', DISABLED_SERVICES='ai-factory-nova')
        self.assertNotIn('ai_factory', host.files()['nova/nova.conf'])

    def test_unstack_and_clean_without_stack(self):
        host = self.devstack(**base.CASES['all'])
        self.done(host, 'unstack')
        self.done(host, 'clean')
        self.assertEqual({}, host.files())

    def test_wrong_options_do_not_keep_from_unstacking(self):
        host = self.stacked(**base.CASES['nova'])
        self.done(host, 'unstack', AI_FACTORY_FAKE_GPUS='no-board',
                  AI_FACTORY_FAKE_COMPUTES='many')

    def test_flavors_that_cannot_be_deleted_do_no_harm(self):
        host = self.stacked(**base.CASES['nova'])
        for path in (host.root / 'flavors').iterdir():
            path.unlink()
        self.assertEqual(0, host.run('unstack').returncode)
        self.assertNotIn('ai_factory', host.files()['nova/nova.conf'])

    def test_what_others_did_since_stays(self):
        """As ``[[post-config]]`` of local.conf, which comes after us."""
        host = self.devstack(**base.CASES['nova-host'])
        local = host.root / 'local'
        local.write_text(
            'iniadd_literal $NOVA_CONF pci alias "their alias"\n'
            'iniset $NOVA_CONF filter_scheduler weight_classes theirs\n'
            'iniset $NOVA_CONF filter_scheduler shuffle True\n')
        self.done(host, 'stack', LOCAL_CONF=str(local))
        self.done(host, 'unstack')
        stock = self.devstack(**base.CASES['nova-host'])
        local.write_text(
            'iniset $NOVA_CONF filter_scheduler weight_classes theirs\n'
            'iniset $NOVA_CONF filter_scheduler shuffle True\n'
            'iniset $NOVA_CONF pci alias "their alias"\n')
        self.done(stock, 'stack', LOCAL_CONF=str(local), PLUGIN='no')
        for name in ('nova/nova.conf', 'nova/nova-cpu.conf'):
            self.assertEqual(stock.files()[name], host.files()[name])


class ConfigurationTest(base.TestCase):

    def edited(self, name, old, new, **options):
        """A host with another sample of a file."""
        host = self.devstack(**options)
        path = host.conf(name)
        path.parent.mkdir(parents=True)
        sample = base.HERE / 'sample' / path.name
        text = sample.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new))
        return host

    def line(self, host, name, option):
        line, = (line for line in host.files()[name].splitlines()
                 if line.startswith(option + ' = '))
        return line.partition(' = ')[2]

    def test_filters_of_the_operator_stay_where_they_are(self):
        host = self.edited(
            'nova/nova.conf', 'SameHostFilter,DifferentHostFilter',
            'PciPassthroughFilter,NUMATopologyFilter,TheirFilter',
            **base.CASES['nova-host'])
        self.done(host, 'stack', REBUILD='no')
        self.assertEqual(
            'GPUTopologyFilter,PciPassthroughFilter,NUMATopologyFilter,'
            'TheirFilter,FabricLocalityFilter',
            self.line(host, 'nova/nova.conf', 'enabled_filters')
            .partition('ServerGroupAffinityFilter,')[2])

    def test_what_is_there_is_not_added(self):
        given = ('available_filters = nova.scheduler.filters.all_filters\n'
                 'pci_in_placement = True\n')
        host = self.edited('nova/nova.conf', 'enabled_filters',
                           given + 'enabled_filters',
                           **base.CASES['nova-host'])
        before = host.files()['nova/nova.conf']
        self.done(host, 'stack', REBUILD='no')
        text = host.files()['nova/nova.conf']
        for line in given.splitlines():
            self.assertEqual(1, text.count(line), line)
        self.done(host, 'unstack')
        # DevStack has no function that removes one of several lines.
        after = host.files()['nova/nova.conf'].replace('fixed_key = 0\n', '')
        self.assertEqual(sorted(before.splitlines()),
                         sorted(after.splitlines()))

    def test_weighers_of_the_operator_stay(self):
        host = self.edited(
            'nova/nova.conf', 'enabled_filters',
            'weight_classes = theirs.Weigher\nenabled_filters',
            **base.CASES['nova-host'])
        self.done(host, 'stack', REBUILD='no')
        self.assertEqual(
            'theirs.Weigher,ai_factory_plugins.nova.all_weighers',
            self.line(host, 'nova/nova.conf', 'weight_classes'))

    def test_hooks_of_the_operator_stay(self):
        host = self.edited(
            'ironic/ironic.conf', '[inspector]',
            '[inspector]\nhooks = memory,$default_hooks,theirs',
            **base.CASES['ironic'])
        self.done(host, 'stack', REBUILD='no')
        self.assertEqual(
            'memory,$default_hooks,theirs,cpus,gpu-inventory',
            self.line(host, 'ironic/ironic.conf', 'hooks'))

    def test_ironic_that_is_configured_after_us(self):
        """Plugins go by their names in the gate."""
        for rebuild in ('yes', 'no'):
            host = self.devstack(
                ENABLED_SERVICES=base.IRONIC, DEVSTACK_PLUGINS='this,ironic',
                IRONIC='last')
            for _ in range(2):
                self.done(host, 'stack', REBUILD=rebuild)
                self.assertEqual(
                    (base.GOLDEN / 'ironic/ironic.conf').read_text(),
                    host.files()['ironic/ironic.conf'])
            self.done(host, 'unstack')
            self.assertEqual(
                (base.HERE / 'sample/ironic.conf').read_text(),
                host.files()['ironic/ironic.conf'])

    def test_ironic_that_enables_its_services_after_us(self):
        host = self.devstack(ENABLED_SERVICES=base.SWIFT,
                             DEVSTACK_PLUGINS='this,ironic')
        self.assert_stopped('enable its plugin', host.run('stack'))

    def test_batch_read_without_keystone(self):
        host = self.edited(
            'swift/proxy-server.conf',
            's3api authtoken s3token keystoneauth tempauth  ', 'tempauth ',
            **base.CASES['swift'])
        self.done(host, 'stack', REBUILD='no')
        self.assertIn(' tempauth batch_read formpost staticweb copy ',
                      self.line(host, 'swift/proxy-server.conf', 'pipeline'))

    def test_batch_read_is_right_of_all_that_authenticates(self):
        host = self.edited(
            'swift/proxy-server.conf', 'keystoneauth tempauth  formpost',
            'keystoneauth formpost tempauth', **base.CASES['swift'])
        self.done(host, 'stack', REBUILD='no')
        self.assertIn(' formpost tempauth batch_read staticweb ',
                      self.line(host, 'swift/proxy-server.conf', 'pipeline'))

    def test_no_place_for_batch_read(self):
        for new, message in (
                ('authtoken', 'nothing in the pipeline authenticates'),
                ('slo tempauth', 'tempauth stands right of slo')):
            host = self.edited(
                'swift/proxy-server.conf',
                's3api authtoken s3token keystoneauth tempauth', new,
                **base.CASES['swift'])
            self.assert_stopped(message, host.run('stack', REBUILD='no'))

    def test_s3_is_not_enabled(self):
        host = self.edited(
            'swift/proxy-server.conf', ' s3api authtoken s3token ',
            ' authtoken ', ENABLED_SERVICES='s-proxy,s-object')
        self.done(host, 'stack', REBUILD='no')
        pipeline = self.line(host, 'swift/proxy-server.conf', 'pipeline')
        self.assertNotIn('batch_read_s3', pipeline)
        self.assertIn(' keystoneauth tempauth batch_read ', pipeline)

    def test_block_cache(self):
        host = self.stacked(**base.CASES['swift'],
                            AI_FACTORY_BLOCK_CACHE='False')
        self.assertNotIn(
            'block_cache', host.files()['swift/proxy-server.conf'])
        for old, new, expected in (
                # Right of what decrypts, it has what the disks have.
                ('symlink', 'symlink keymaster encryption',
                 'keymaster encryption block_cache proxy-logging '),
                (' copy container-quotas account-quotas slo dlo '
                 'versioned_writes symlink', '',
                 ' batch_read block_cache formpost ')):
            host = self.edited('swift/proxy-server.conf', old, new,
                               **base.CASES['swift'])
            self.done(host, 'stack', REBUILD='no')
            pipeline = self.line(host, 'swift/proxy-server.conf', 'pipeline')
            self.assertIn(expected, pipeline)
            self.assertEqual(1, pipeline.split().count('block_cache'))

    def test_a_host_without_gpus(self):
        host = self.devstack(ENABLED_SERVICES=base.CONTROLLER)
        (host.root / 'sys/bus/pci/devices').mkdir(parents=True)
        self.done(host, 'stack',
                  AI_FACTORY_INVENTORY_ARGS=f'--sysfs-root {host.root}/sys')
        self.assertIn('GPUTopologyFilter', host.files()['nova/nova.conf'])
        self.assertNotIn('[pci]', host.files()['nova/nova.conf'])
        self.assertNotIn('flavor', host.calls())

    def test_a_compute_without_the_other_services(self):
        """As the second node of two."""
        host = self.stacked(ENABLED_SERVICES='n-cpu', **base.BOARD)
        text = host.files()['nova/nova.conf']
        self.assertNotIn('GPUTopologyFilter', text)
        self.assertIn('alias = ', text)
        calls = host.calls()
        self.assertIn('run_process n-cpu-ai-factory-1 ', calls)
        for word in ('openstack', 'test_with_retry'):
            self.assertNotIn(word, calls)

    def test_a_controller_without_computes(self):
        host = self.stacked(
            ENABLED_SERVICES='n-api,n-sch,n-cond,placement-api', **base.BOARD)
        self.assertIn('alias = ', host.files()['nova/nova.conf'])
        self.assertNotIn('nova/ai-factory-fake-1.conf', host.files())
        self.assertNotIn('run_process', host.calls())

    def test_every_board(self):
        for name in boards.names():
            with self.subTest(name):
                host = self.stacked(ENABLED_SERVICES=base.CONTROLLER,
                                    AI_FACTORY_FAKE_GPUS=name)
                self.assertIn(
                    'device_spec = ',
                    host.files()['nova/ai-factory-fake-1.conf'])

    def test_services_can_be_disabled(self):
        host = self.stacked(
            ENABLED_SERVICES=base.CASES['all']['ENABLED_SERVICES'],
            DISABLED_SERVICES='ai-factory-nova,ai-factory-ironic,'
                              'ai-factory-swift')
        self.assertNotIn('ai_factory', ''.join(host.files().values()))
        self.assertNotIn('setup_develop', host.calls())
