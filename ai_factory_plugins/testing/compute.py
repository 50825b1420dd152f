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


"""nova-compute with :class:`~ai_factory_plugins.testing.virt.BoardDriver`.

Nova looks for ``compute_driver`` below ``nova.virt`` alone, so this makes the
module known there before it starts the service. Configure it with
``compute_driver = ai_factory_boards.BoardDriver``.
"""

from nova import monkey_patch; monkey_patch.patch(backend='threading')  # noqa

import sys  # noqa: I100

from nova.cmd import compute

from ai_factory_plugins.testing import virt

MODULE = 'nova.virt.ai_factory_boards'


def main():
    sys.modules[MODULE] = virt
    compute.main()


if __name__ == '__main__':
    main()
