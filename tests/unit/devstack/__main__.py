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

"""``python -m tests.unit.devstack``: write the golden files anew.

Read what it changes: they say what an installation looks like.
"""

import shutil
import tempfile

from tests.unit.devstack import base


def main():
    for case, options in base.CASES.items():
        with (tempfile.TemporaryDirectory() as root,
              tempfile.TemporaryDirectory() as other):
            host = base.DevStack(root, **options)
            stock = base.DevStack(other, **options)
            for item, plugin in ((host, 'yes'), (stock, 'no')):
                item.run('stack', PLUGIN=plugin).check_returncode()
            directory = base.GOLDEN / case
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            for name, text in base.changes(host, stock.files()).items():
                (directory / name).write_text(text)


if __name__ == '__main__':
    main()
