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

"""Clients of S3, each behind the same few methods.

``MISSING`` and ``DENIED`` are what a client raises; ``RANGES`` tells whether
it can read a part of an object.
"""

import io
import os

import boto3.s3.transfer
import botocore.exceptions
import obstore
import obstore.exceptions
import obstore.store
import pyarrow.fs
import s3fs

REGION = 'us-east-1'
PART = 5 * 1024 * 1024  # the least that a part may have


class Boto3:
    MISSING = DENIED = botocore.exceptions.ClientError

    def __init__(self, site):
        self.client = site.boto3()

    def read(self, bucket, key, start=None, end=None):
        extra = {} if start is None else {'Range': f'bytes={start}-{end - 1}'}
        return self.client.get_object(
            Bucket=bucket, Key=key, **extra)['Body'].read()

    def write(self, bucket, key, data):
        """In parts, if there is enough of it."""
        self.client.upload_fileobj(
            io.BytesIO(data), bucket, key,
            Config=boto3.s3.transfer.TransferConfig(
                multipart_threshold=PART, multipart_chunksize=PART))

    def names(self, bucket, prefix):
        pages = self.client.get_paginator('list_objects_v2').paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={'PageSize': 2})
        return [item['Key'] for page in pages
                for item in page.get('Contents', ())]


class S3fs:
    MISSING, DENIED = FileNotFoundError, PermissionError

    def __init__(self, site):
        self.fs = s3fs.S3FileSystem(
            key=site.access, secret=site.secret, endpoint_url=site.url,
            client_kwargs={'region_name': REGION}, skip_instance_cache=True,
            use_listings_cache=False,
            config_kwargs={'retries': {'max_attempts': 1}})

    def read(self, bucket, key, start=None, end=None):
        return self.fs.cat_file(f'{bucket}/{key}', start=start, end=end)

    def write(self, bucket, key, data):
        with self.fs.open(f'{bucket}/{key}', 'wb', block_size=PART) as file:
            file.write(data)

    def names(self, bucket, prefix):
        return [name.partition('/')[2]
                for name in self.fs.find(f'{bucket}/{prefix}')]


class Obstore:
    MISSING = FileNotFoundError
    DENIED = obstore.exceptions.PermissionDeniedError

    def __init__(self, site):
        self.site = site

    def _store(self, bucket):
        return obstore.store.S3Store(
            bucket, endpoint=self.site.url, region=REGION,
            access_key_id=self.site.access, secret_access_key=self.site.secret,
            virtual_hosted_style_request=False,
            client_options={'allow_http': True},
            retry_config={'max_retries': 0})

    def read(self, bucket, key, start=None, end=None):
        if start is None:
            return bytes(obstore.get(self._store(bucket), key).bytes())
        return bytes(obstore.get_range(
            self._store(bucket), key, start=start, end=end))

    def write(self, bucket, key, data):
        obstore.put(self._store(bucket), key, data, chunk_size=PART,
                    use_multipart=len(data) > PART)

    def names(self, bucket, prefix):
        return [item['path'] for items in obstore.list(
            self._store(bucket), prefix=prefix) for item in items]


class Pyarrow:
    MISSING, DENIED = FileNotFoundError, OSError

    def __init__(self, site):
        self.fs = pyarrow.fs.S3FileSystem(
            access_key=site.access, secret_key=site.secret, region=REGION,
            endpoint_override=site.url.partition('://')[2], scheme='http',
            force_virtual_addressing=False)

    def read(self, bucket, key, start=None, end=None):
        with self.fs.open_input_file(f'{bucket}/{key}') as file:
            if start is None:
                return file.read()
            return file.read_at(end - start, start)

    def write(self, bucket, key, data):
        with self.fs.open_output_stream(f'{bucket}/{key}') as file:
            file.write(data)

    def names(self, bucket, prefix):
        found = self.fs.get_file_info(pyarrow.fs.FileSelector(
            f'{bucket}/{prefix}', recursive=True))
        return [item.path.partition('/')[2] for item in found if item.is_file]


class Mountpoint:
    """What s3torchconnector is made of; without torch.

    It reads an object of more than a part part by part, all but the first
    with ``If-Match``.
    """

    def __init__(self, site):
        # It takes keys from nowhere else.
        os.environ.update(AWS_ACCESS_KEY_ID=site.access,
                          AWS_SECRET_ACCESS_KEY=site.secret)
        from s3torchconnectorclient import _mountpoint_s3_client as module
        from s3torchconnectorclient import S3Exception

        self.MISSING = self.DENIED = S3Exception
        self.client = module.MountpointS3Client(
            REGION, endpoint=site.url, force_path_style=True, part_size=PART,
            max_attempts=1)

    def read(self, bucket, key, start=None, end=None):
        return b''.join(self.client.get_object(bucket, key, start, end))

    def write(self, bucket, key, data):
        stream = self.client.put_object(bucket, key)
        stream.write(data)
        stream.close()

    def names(self, bucket, prefix):
        return [item.key for page in self.client.list_objects(
            bucket, prefix, max_keys=2) for item in page.object_info]


ALL = (Boto3, S3fs, Obstore, Pyarrow, Mountpoint)
