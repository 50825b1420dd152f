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

"""What the block cache gains: a part of the matrix.

``python -m benchmarks.swift.cache`` reads 64 KiB ranges of a whole object and
of a segmented one, with and without the filter ``block_cache``, with Swift's
API and with S3. It is ``python -m benchmarks.swift`` with some options chosen;
more may be given.
"""

import sys

from benchmarks.swift import __main__ as matrix

CHOSEN = ['--only', 'stock,cached', '--sizes', '64K', '--layout', 'one,slo',
          '--clients', '4', '--seconds', '5', '--base-port', '22800']


def main():
    return matrix.main(CHOSEN + sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
