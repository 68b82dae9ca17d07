"""Prints what cloud-init's own data source for OpenStack gets from a URL, as JSON."""

import json
import sys
import tempfile

from cloudinit import distros, helpers
from cloudinit.sources.DataSourceOpenStack import DataSourceOpenStack

source = {"metadata_urls": sys.argv[1:], "max_wait": 20, "timeout": 10, "retries": 1}
config = {"datasource": {"OpenStack": source}}
with tempfile.TemporaryDirectory() as folder:
    paths = helpers.Paths({"cloud_dir": folder, "run_dir": folder})
    distro = distros.fetch("debian")("debian", config, paths)
    found = DataSourceOpenStack(config, distro, paths)._crawl_metadata()
metadata = found["metadata"]
print(
    json.dumps(
        {
            "instance": metadata["instance-id"],
            "keys": metadata["public_keys"],
            "userdata": found["userdata"].decode(),
        }
    )
)
