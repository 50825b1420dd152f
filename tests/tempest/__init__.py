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

"""Before Tempest is imported, it is told what the cloud has."""

import os
import pathlib
import tempfile

ALIAS, RESOURCE_CLASS = 'h100-sxm5-80gb', 'CUSTOM_GPU_H100_SXM5_80GB'
_directory = tempfile.TemporaryDirectory()
pathlib.Path(_directory.name, 'tempest.conf').write_text(f"""
[DEFAULT]
log_dir = {_directory.name}

[oslo_concurrency]
lock_path = {_directory.name}

[service_available]
ai_factory = True
swift = True

[compute]
image_ref = image
ready_wait = 0

[ai_factory]
gpu_alias = {ALIAS}
gpu_resource_class = {RESOURCE_CLASS}
bare_metal = True
s3_url = http://swift
""")
os.environ['TEMPEST_CONFIG_DIR'] = _directory.name
