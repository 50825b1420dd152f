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

"""Run a server of Swift: ``python -m cloud.swift_server KIND CONF``.

Swift's own scripts take the storage policies from ``/etc/swift``, whatever
``swift_dir`` says. This takes them from the directory of the configuration.
"""

import importlib
import os
import sys

from swift.common import storage_policy
from swift.common import utils

_PACKAGES = {'object': 'obj'}


def main():
    _, kind, conf = sys.argv
    utils.set_swift_dir(os.path.dirname(conf))
    storage_policy.reload_storage_policies()
    # Its options come from there; -v logs to stderr as well.
    sys.argv = [f'swift.{_PACKAGES.get(kind, kind)}.server', conf, '-v']
    importlib.import_module(f'swift.{_PACKAGES.get(kind, kind)}.server').main()


if __name__ == '__main__':
    main()
