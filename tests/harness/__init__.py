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


"""Scenarios on a whole Nova in one process.

Nova's own functional tests ship with it: real API, conductor, scheduler,
computes and placement, on SQLite, without a message bus. Here the computes
have boards of GPUs. It is quick, needs no other service, and hence runs with
every supported series of Nova.
"""

from nova import monkey_patch  # noqa: I100

if hasattr(monkey_patch, 'patch'):
    # Up to Nova 31 the import does it.
    monkey_patch.patch()
