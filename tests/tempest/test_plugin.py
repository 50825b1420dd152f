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

"""Tempest finds our tests; they pass on a cloud that does as ours, and fail on
one that does not.
"""

import subprocess
import sys
import unittest
from unittest import mock

from tempest import config
from tempest import test
from tempest.test_discover import plugins

from ai_factory_plugins.tempest.scenario import test_bare_metal
from ai_factory_plugins.tempest.scenario import test_batch_read
from ai_factory_plugins.tempest.scenario import test_gpus
from ai_factory_plugins.tempest.scenario import test_s3
from tests import tempest as settings
from tests.tempest import fake_cloud
from tests.tempest import fake_swift

GPUS = (test_gpus.JoinedGPUsTest, test_gpus.ExtraSpecsTest)
SWIFT = (test_batch_read.BatchReadTest,)
S3 = (test_s3.S3Test,)
METAL = (test_bare_metal.BareMetalTest,)
GOOD = fake_cloud.machine(
    'good', 'CUSTOM_GPU_MODEL_H100', 'CUSTOM_GPU_COUNT_8')
BROKEN = fake_cloud.machine(
    'broken', *GOOD['traits'], 'CUSTOM_GPU_DEGRADED')


def manager(cloud, credential_type=None, **kwargs):
    """The clients of a user."""
    if isinstance(cloud, fake_swift.Swift):
        return cloud.manager(fake_swift.ALT if credential_type == 'alt'
                             else fake_swift.OPERATOR)
    return fake_cloud.manager(cloud)


def run(cloud, classes):
    """Run the tests of classes on a cloud.

    :returns: a :class:`unittest.TestResult`
    """
    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromTestCase(item)
        for item in classes)
    result = unittest.TestResult()
    with (mock.patch.object(test.BaseTestCase, 'get_client_manager',
                            lambda *args, **kwargs: manager(cloud, **kwargs)),
          mock.patch.object(test.BaseTestCase, 'clear_credentials'),
          mock.patch.object(test_bare_metal.BareMetalClient, 'nodes',
                            lambda self: cloud.nodes)):
        suite.run(result)
    return result


class PluginTest(unittest.TestCase):

    def test_tempest_knows_it(self):
        self.assertIn('ai_factory', [
            item.name for item in
            plugins.TempestTestPluginManager().ext_plugins])

    def test_options(self):
        self.assertEqual(settings.ALIAS, config.CONF.ai_factory.gpu_alias)
        for _, options in (
                plugins.TempestTestPluginManager()
                .get_plugin_options_list()):
            for option in options:
                self.assertTrue(option.help, option.name)

    def test_tests_are_found(self):
        program = (
            'import unittest\n'
            'from tempest.test_discover import plugins\n'
            'found = plugins.TempestTestPluginManager()\n'
            'for directory, top in '
            'found.get_plugin_load_tests_tuple().values():\n'
            '    print(unittest.TestLoader().discover('
            'directory, top_level_dir=top))\n')
        found = subprocess.run(
            [sys.executable, '-c', program], capture_output=True, text=True,
            check=True, timeout=120).stdout
        for name in ('test_two_and_four', 'test_servers_do_not_share_gpus',
                     'test_refusal_when_no_partition_is_left',
                     'test_typo_is_a_bad_request', 'test_server_by_trait',
                     'test_ranges_of_several_objects', 'test_without_access',
                     'test_access_that_is_given',
                     'test_ranges_of_what_was_written_anew'):
            self.assertIn(name, found)
        self.assertNotIn('_FailedTest', found)


class Runs:
    """What can be said of the tests of classes on a cloud."""

    def assert_passes(self, cloud, classes, count):
        result = run(cloud, classes)
        self.assertEqual([], result.errors + result.failures + result.skipped)
        self.assertEqual(count, result.testsRun)

    def assert_fails(self, cloud, classes, *names):
        result = run(cloud, classes)
        self.assertEqual(set(names), {
            case.id().rpartition('.')[2].partition('[')[0]
            for case, _ in result.errors + result.failures})


class ScenarioTest(Runs, unittest.TestCase):

    def test_gpus(self):
        for hosts in (1, 2):
            cloud = fake_cloud.Cloud(hosts)
            self.assert_passes(cloud, GPUS, 4)
            self.assertEqual(0, cloud.left_behind().total())

    def test_gpus_that_are_not_joined(self):
        self.assert_fails(
            fake_cloud.Cloud(joined=False), GPUS,
            'test_two_and_four', 'test_servers_do_not_share_gpus',
            'test_refusal_when_no_partition_is_left')

    def test_no_refusal(self):
        self.assert_fails(fake_cloud.Cloud(refuses=False), GPUS,
                          'test_refusal_when_no_partition_is_left')

    def test_no_bad_request(self):
        self.assert_fails(fake_cloud.Cloud(validates=False), GPUS,
                          'test_typo_is_a_bad_request')

    def test_gpus_that_are_not_released(self):
        result = run(fake_cloud.Cloud(leaks=True), GPUS[:1])
        self.assertFalse(result.wasSuccessful())

    def test_machines(self):
        self.assert_passes(
            fake_cloud.Cloud(nodes=[dict(BROKEN), dict(GOOD)]), METAL, 1)

    def test_machine_with_other_traits(self):
        self.assert_fails(
            fake_cloud.Cloud(nodes=[dict(BROKEN), dict(GOOD)],
                             by_trait=False), METAL, 'test_server_by_trait')

    def test_no_machines(self):
        for nodes in ((), [dict(GOOD, provision_state='active')],
                      [dict(GOOD, maintenance=True)]):
            result = run(fake_cloud.Cloud(nodes=nodes), METAL)
            self.assertEqual(1, len(result.skipped))


class BatchReadTest(Runs, unittest.TestCase):

    TESTS = ('test_ranges_of_several_objects', 'test_without_access',
             'test_access_that_is_given')

    def test_batches(self):
        swift = fake_swift.Swift()
        self.assert_passes(swift, SWIFT, 3)
        self.assertEqual(({}, {}), (swift.acls, swift.stored))

    def test_wrong_bytes(self):
        self.assert_fails(fake_swift.Swift(shift=1), SWIFT,
                          self.TESTS[0], self.TESTS[2])

    def test_answers_that_are_not_whole(self):
        self.assert_fails(fake_swift.Swift(whole=False), SWIFT,
                          self.TESTS[0], self.TESTS[2])

    def test_access_for_everybody(self):
        self.assert_fails(fake_swift.Swift(authorises=False), SWIFT,
                          self.TESTS[1])

    def test_swift_without_batches(self):
        result = run(fake_swift.Swift(info=False), SWIFT)
        self.assertEqual([], result.errors + result.failures)
        self.assertTrue(result.skipped)


class S3Test(Runs, unittest.TestCase):

    TESTS = ('test_ranges', 'test_ranges_of_what_was_written_anew',
             'test_without_access')

    def test_ranges(self):
        swift = fake_swift.Swift()
        self.assert_passes(swift, S3, 3)
        self.assertEqual(
            ({}, {}, {}), (swift.acls, swift.stored, swift.keys))

    def test_wrong_bytes(self):
        self.assert_fails(fake_swift.Swift(shift=1), S3, *self.TESTS)

    def test_what_was_there_before(self):
        self.assert_fails(fake_swift.Swift(stale=True), S3, self.TESTS[1])

    def test_access_for_everybody(self):
        self.assert_fails(
            fake_swift.Swift(authorises=False), S3, self.TESTS[2])

    def test_no_s3(self):
        with mock.patch.object(test_s3, 'CONF') as conf:
            conf.ai_factory.s3_url = None
            result = run(fake_swift.Swift(), S3)
        self.assertEqual([], result.errors + result.failures)
        self.assertTrue(result.skipped)
