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

import importlib.metadata
import os
import pathlib
import tempfile
from unittest import mock

import fixtures
import testtools

from cloud import core
from cloud import databases
from cloud import errors


class DatabasesTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.useFixture(fixtures.EnvironmentVariable(
            'XDG_CACHE_HOME', str(self.root / 'cache')))
        self.useFixture(fixtures.MockPatchObject(
            databases, 'cache_key', lambda: 'key'))
        self.made = 0
        self.useFixture(fixtures.MockPatchObject(
            databases, '_make', self.make))

    def make(self, cloud):
        self.made += 1
        data = cloud.layout.directory('mariadb')
        (data / 'table').write_text('rows')
        (data / 'mariadb.sock').write_text('')

    def cloud(self, name):
        return core.Cloud(self.root / name)

    def test_the_second_cloud_takes_them_from_the_cache(self):
        for name in ('one', 'two'):
            databases.prepare(self.cloud(name))
        self.assertEqual(1, self.made)
        self.assertEqual(
            ['table'], os.listdir(self.root / 'two' / 'mariadb'))

    def test_what_is_there_is_kept(self):
        databases.prepare(self.cloud('one'))
        table = self.root / 'one' / 'mariadb' / 'table'
        table.write_text('more rows')
        databases.prepare(self.cloud('one'))
        self.assertEqual('more rows', table.read_text())

    def test_what_was_interrupted_is_made_anew(self):
        with mock.patch.object(
                databases, '_make', side_effect=errors.CloudError):
            cloud = self.cloud('one')
            (cloud.layout.directory('mariadb') / 'half').write_text('')
            self.assertRaises(
                errors.CloudError, databases.prepare, cloud)
        databases.prepare(cloud)
        self.assertEqual(1, self.made)
        self.assertFalse((self.root / 'one' / 'mariadb' / 'half').exists())

    def test_those_used_last_are_kept(self):
        cache = self.root / 'cache' / 'ai-factory-plugins' / 'cloud'
        for age, name in enumerate(['new', 'newer', 'old', 'oldest'], 1):
            (cache / name).mkdir(parents=True)
            os.utime(cache / name, (age * -100 + 10000,) * 2)
        databases.prepare(self.cloud('one'))
        self.assertEqual(
            {'key', 'new', 'newer'}, set(os.listdir(cache)))


class CacheKeyTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.versions = {}
        self.server = 'mariadbd 10.11'
        self.useFixture(fixtures.MockPatchObject(
            databases.backing, 'version', lambda: self.server))
        self.useFixture(fixtures.MockPatchObject(
            importlib.metadata, 'version',
            lambda name: self.versions.get(name, '1')))

    def test_depends_on_what_makes_the_databases(self):
        keys = [databases.cache_key(), databases.cache_key()]
        self.assertEqual(keys[0], keys[1])
        for name in ('nova', 'openstack-placement', 'alembic'):
            self.versions[name] = '2'
            keys.append(databases.cache_key())
        self.server = 'mariadbd 11'
        keys.append(databases.cache_key())
        self.assertEqual(5, len(set(keys)))

    def test_depends_on_nothing_else(self):
        key = databases.cache_key()
        self.versions['ai-factory-plugins'] = '2'
        self.assertEqual(key, databases.cache_key())
