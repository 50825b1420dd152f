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

"""DevStack, the cloud of the functional tests and the guides agree.

The golden files stand for DevStack; what the guides recommend is in
``etc/ai_factory_plugins``.
"""

import configparser
import pathlib
import tempfile
import unittest
from unittest import mock

from cloud import core
from cloud.services import common
from cloud.services import ironic
from cloud.services import nova
from cloud.services import placement
from tests.unit.cloud import test_configuration
from tests.unit.devstack import base

ETC = base.PROJECT / 'etc/ai_factory_plugins'
# DevStack enables them, nobody else has to.
THEIRS = {'SameHostFilter', 'DifferentHostFilter'}


def options(path):
    return test_configuration.Options(path)


def golden(case, name):
    return options(base.GOLDEN / case / name)


class AgreementTest(unittest.TestCase):

    def test_scheduler(self):
        expected = {
            name: value if isinstance(value, list) else [str(value)]
            for name, value in nova._filters('ai-factory').items()}
        installed = golden('nova', 'nova.conf')
        names = installed['filter_scheduler']['enabled_filters'].split(',')
        installed['filter_scheduler']['enabled_filters'] = ','.join(
            name for name in names if name not in THEIRS)
        for found in (installed, options(ETC / 'nova-scheduler.conf')):
            self.assertEqual(expected, {
                name: found.many('filter_scheduler', name)
                for name in expected})

    def test_placement(self):
        expected = {
            group: {name: str(value) for name, value in found.items()}
            for group, found in placement.SETTINGS['ai-factory'].items()}
        installed = golden('nova', 'placement.conf')
        for found in (installed, options(ETC / 'placement.conf')):
            self.assertEqual(expected, {
                group: {name: found[group][name] for name in names}
                for group, names in expected.items()})

    def test_ironic(self):
        for found in (golden('ironic', 'ironic.conf'),
                      options(ETC / 'ironic.conf')):
            self.assertEqual(ironic.HOOKS, found['inspector']['hooks'])
            self.assertEqual(ironic.REDFISH_HOOKS,
                             found['redfish']['inspection_hooks'])


class ComputeTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        paste = pathlib.Path(directory.name, 'packaged.ini')
        paste.write_text('')
        self.cloud = core.Cloud(
            pathlib.Path(directory.name, 'cloud'), scheduler='ai-factory',
            computes={'one': core.Compute('hgx-h100')})
        with mock.patch.object(common, 'packaged', lambda *parts: paste):
            nova.configure(self.cloud)
        self.etc = self.cloud.layout.etc('nova')

    def test_board(self):
        expected = options(self.etc / 'one.conf')
        found = golden('nova', 'ai-factory-fake-1.conf')
        self.assertEqual(expected.many('pci', 'device_spec'),
                         found.many('pci', 'device_spec'))
        self.assertEqual(expected['pci']['report_in_placement'],
                         found['pci']['report_in_placement'])
        self.assertEqual(expected['DEFAULT']['compute_driver'],
                         found['DEFAULT']['compute_driver'])
        for item in (expected, found):
            self.assertIn('sysfs_root', item['ai_factory_boards'])

    def test_aliases(self):
        self.assertEqual(
            options(self.etc / 'nova.conf').many('pci', 'alias'),
            golden('nova', 'nova.conf').many('pci', 'alias'))

    def test_process(self):
        command, = (item.command for item in nova.services(self.cloud)
                    if item.name == 'nova-compute-one')
        module = command[1:3]
        self.assertEqual('-m', module[0])
        self.assertIn(f'PYTHON {" ".join(module)} --config-file ',
                      (base.GOLDEN / 'nova/calls').read_text())


class SwiftTest(unittest.TestCase):

    PROXY = 'proxy-server.conf', 'swift-proxy-server.conf'
    FILES = (('batch_read', *PROXY), ('block_cache', *PROXY),
             ('range_server', '1.conf', 'swift-object-server.conf'))

    def test_filters(self):
        for name, installed, recommended in self.FILES:
            self.assertEqual(
                options(ETC / recommended)[f'filter:{name}']['use'],
                golden('swift', installed)[f'filter:{name}']['use'])

    def test_pipelines(self):
        for name, installed, recommended in self.FILES:
            found, expected = (
                item['pipeline:main']['pipeline'].split() for item in
                (golden('swift', installed), options(ETC / recommended)))
            # What both have stands in the same order.
            self.assertEqual(
                list(dict.fromkeys(w for w in expected if w in found)),
                list(dict.fromkeys(w for w in found if w in expected)))
            self.assertIn(name, found)

    def test_entry_points(self):
        setup = configparser.ConfigParser(delimiters=('=',))
        setup.read(base.PROJECT / 'setup.cfg')
        filters = setup['entry_points']['paste.filter_factory']
        for name, *_ in self.FILES:
            self.assertIn(f'{name} = ', filters)
