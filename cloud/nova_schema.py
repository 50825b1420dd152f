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


"""Fill Nova's databases: schemas, cell0 and cell1.

Run as ``python -m cloud.nova_schema CONFIG CELL0_DATABASE``. One process does
the work of four ``nova-manage`` calls.
"""

import sys

from nova.cmd import manage
from nova import config
from nova import objects


def main():
    _, path, cell0 = sys.argv
    config.parse_args(['nova-manage', '--config-file', path])
    objects.register_all()
    for step, status in (
            ('api_db sync', manage.ApiDbCommands().sync()),
            ('map_cell0', manage.CellV2Commands().map_cell0(cell0)),
            ('db sync', manage.DbCommands().sync()),
            ('create_cell', manage.CellV2Commands().create_cell('cell1'))):
        if status:
            sys.exit(f'{step} failed with status {status}')


if __name__ == '__main__':
    main()
