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


"""What the commands have in common that look into Nova."""

import logging
import sys

import nova.conf
from nova import config
from nova import objects

from ai_factory_plugins.conf import nova as conf

CONF = nova.conf.CONF


def add_config_file(parser):
    """Let the user name the configuration of nova-scheduler."""
    parser.add_argument(
        '--config-file', metavar='FILE', action='append', default=[],
        help='configuration of nova-scheduler (default: nova.conf, where '
             'Nova looks for it)')


def configure(command, files):
    """Read Nova's configuration, and make its objects usable.

    :param command: name of the command
    :param files: paths of configuration files; Nova's own if there are none
    :raises oslo_config.cfg.Error: the configuration cannot be read
    """
    config.parse_args(
        [command, *(f'--config-file={path}' for path in files)])
    conf.register_opts(CONF)
    # Not oslo.log: the scheduler's log is no place for what is said here.
    logging.basicConfig(
        stream=sys.stderr, level='WARNING',
        format='%(levelname)s %(name)s: %(message)s')
    objects.register_all()
