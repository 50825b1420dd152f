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


import io
import pathlib
import unittest

from oslo_config import generator

from ai_factory_plugins.conf import opts

ETC = pathlib.Path(__file__).parents[3] / 'etc'
GENERATOR = ETC / 'oslo-config-generator.conf'
SAMPLE = ETC / 'ai_factory_plugins/ai_factory_plugins.conf.sample'


class SampleTest(unittest.TestCase):

    def test_every_option_has_a_help_text(self):
        for group, options in opts.list_opts():
            for option in options:
                self.assertTrue(option.help, option.name)

    def test_sample_matches_the_code(self):
        """Regenerate it with ``tox -e genconfig`` where this fails."""
        conf = generator.cfg.ConfigOpts()
        generator.register_cli_opts(conf)
        conf(['--config-file', str(GENERATOR)])
        written = io.StringIO()
        generator.generate(conf, written)
        self.assertEqual(SAMPLE.read_text(), written.getvalue())
