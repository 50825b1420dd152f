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

"""What starts Swift for the tests."""

import pytest

from cloud import errors
from cloud.services import swift as swift_module


def test_port_in_use(swift, tmp_path):
    """Another's server is not taken for one's own."""
    other = swift_module.Swift(
        tmp_path, swift.base_port, swift.settings)
    with pytest.raises(errors.CloudError,
                       match=f'account .*:{swift.port("account")} already'):
        other.start('account')
    assert other.pid('account') is None
    assert swift.pid('account') is not None
